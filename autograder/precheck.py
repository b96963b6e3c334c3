"""What is wrong with a notebook before anything grades it, in sentences; the same reading as the grader's and nbgrader's route."""

from pathlib import Path

from autograder.submissions import SubmissionError, gather, read, released, restore


def precheck(set: str, path: Path | str) -> list[str]:
    """What an instructor, or the student, should know about the notebooks at `path`, one sentence each; empty where all is well.

    Args:
        set: name of the problem set.
        path: a notebook, a folder or a zip archive, as for `autograder grade`.

    Raises:
        KitError: where the set is unknown or `path` does not exist or holds no notebook.
    """
    release = released(set)
    found, sentences = gather([path], set)
    for handin in found:
        try:
            _, flags, _ = restore(read(handin.read()), release, set)
        except SubmissionError as error:
            flags = [str(error)]
        name = handin.path
        sentences += [flag if name in (str(path), flag[: len(name)]) else f"{name}: {flag}" for flag in (*handin.flags, *flags)]
    return sentences

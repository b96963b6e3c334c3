"""Results of grading on disk: one file a submission, under a name made of everything that its grade rests on.

A file appears whole or not at all, so a run that is killed at any moment loses at most the submissions that it was just grading, and the next run takes
the others from here. What is in a file is for the instructor alone: it holds the messages of hidden checks.
"""

import contextlib
import hashlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from autograder import grading
from autograder.collecting import SubmissionError, read_file
from autograder.errors import KitError
from autograder.reporting import write_file
from autograder.sandbox import Limits

ABANDONED = 3600  # seconds after which a temporary file is of a process that was killed: writing one takes milliseconds


@dataclass(frozen=True)
class Basis:
    """What the grades of one run rest on, beside the submissions.

    Attributes:
        course: digest of the students' edition, the checks and the kit.
        versions: of Python and of the packages that grade.
        fingerprint: of the course secret.
        level: of the sandbox.
        limits: of one submission.
    """

    problem_set: str
    course: str
    versions: dict[str, str]
    fingerprint: str
    level: int
    limits: Limits


class Store:
    """A folder of results. Any number of processes may write to it at once: equal keys mean equal results, and the last file stays.

    Args:
        folder: made, with mode 700, where it does not exist.

    Raises:
        KitError: where it cannot be made.
    """

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise KitError(f"the folder of results {self.folder} cannot be made ({error.strerror})") from None
        for path in self.folder.glob(".*.json.*"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > ABANDONED:
                    path.unlink()

    def load(self, key: str) -> "grading.Result | None":
        """The result under a key; None where there is none, or a file that `save` did not write under this key."""
        try:
            digest, _, body = read_file(self._path(key)).partition(b"\n")
            record = json.loads(body)
            if digest.decode() != hashlib.sha256(body).hexdigest() or record["key"] != key:
                return None
            return grading.Result.from_json(record["result"])
        except (SubmissionError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None

    def save(self, key: str, result: "grading.Result") -> None:
        """Puts a result under its key, in place of whatever is there; raises KitError where the folder cannot be written."""
        body = json.dumps({"key": key, "result": result.to_json()}, sort_keys=True).encode()  # ASCII: ids need not be valid Unicode
        try:
            write_file(self._path(key), hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
        except OSError as error:
            raise KitError(f"a result cannot be written to {self.folder} ({error.strerror}); what was graded before is kept there") from None

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.json"


def basis_of(problem_set: str, secret: bytes, limits: Limits, level: int, root: Path) -> Basis:
    """What grades rest on here and now."""
    return Basis(problem_set, grading.course_digest(problem_set, root), grading.versions(), grading.fingerprint(secret), level, limits)


def key(task: "grading.Task", basis: Basis) -> str:
    """The name of a submission's result: sha256 of the submitted bytes and of everything else that its grade rests on, as 64 hex digits."""
    parts = asdict(basis) | {"student": task.student, "reseed": task.reseed, "content": hashlib.sha256(task.content).hexdigest()}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

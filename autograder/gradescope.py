"""Gradescope: a report as its `results.json`, and a zip that makes Gradescope run this grader on every submission.

The zip holds the kit, one set and a key. Gradescope gives an autograder no secret of its own, so the key must be in the zip; it is not the course's
secret but derived from it for this set, so that a zip that leaks tells nothing about other sets or about grades given elsewhere. Student code runs in
the sandbox, of level 2 at least, and cannot read it.

Run by the zip's `run_autograder` as `python -m autograder.gradescope SET FOLDER VISIBILITY`, where FOLDER plays /autograder.
"""

import hashlib
import hmac
import json
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from autograder import collecting
from autograder.course import ROOT, require_set
from autograder.errors import KitError, SubmissionError
from autograder.protocol import clean
from autograder.reporting import NAME, Report, Submission, file_names, json_bytes, says, words, write_file

VISIBILITIES = ("visible", "after_due_date", "after_published", "hidden")
WHOLE = ("LICENSE", "README.md", "constraints.txt", "pyproject.toml", "setup.cfg")
STAMP = (1980, 1, 1, 0, 0, 0)
SETUP = """\
#!/usr/bin/env bash
# Gradescope runs this once, as root, when it builds the image: Python 3.11 or newer, and what the grader needs, in /autograder/venv.
set -euo pipefail
source="$(cd "$(dirname "$0")" && pwd)"
venv="$(dirname "$source")/venv"
export DEBIAN_FRONTEND=noninteractive
fits() { "$1" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
apt-get update -qq
apt-get install -y -qq --no-install-recommends bubblewrap || echo "no bubblewrap: the grader looks for another sandbox"
python=python3
for candidate in python3.13 python3.12 python3.11 python3; do
  if fits "$candidate"; then python="$candidate"; break; fi
done
if ! fits "$python"; then
  apt-get install -y -qq software-properties-common
  add-apt-repository -y ppa:deadsnakes/ppa
  apt-get install -y -qq python3.11 python3.11-venv
  python=python3.11
fi
"$python" -m venv "$venv"
cd "$source"
"$venv/bin/python" -m pip install -q -c constraints.txt --extra-index-url https://download.pytorch.org/whl/cpu -e '.[course]'
chmod 600 secret.key
"""
RUN = """\
#!/usr/bin/env bash
# Gradescope runs this for every submission, and shows what it prints to instructors.
set -eu
here="$(cd "$(dirname "$0")" && pwd)"
export PYTHONPATH="$here/source/lib:$here/source" PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
cd "$here"
exec "${{AUTOGRADER_PYTHON:-$here/venv/bin/python}}" -m autograder.gradescope {set} "$here" {visibility}
"""


def results(report: Report, submission: Submission, hidden: str = "after_due_date", seconds: float | None = None) -> dict:
    """What Gradescope's specification calls results.json: one test a check, all text plain, of a hidden check only its statement.

    Args:
        hidden: when students see how hidden checks went: visible, after_due_date, after_published or hidden. Before, they see no total.
        seconds: wall time of grading.
    """
    if hidden not in VISIBILITIES:
        raise KitError(f"hidden must be one of {', '.join(VISIBILITIES)}, got {hidden!r}")
    tests = []
    for number, question in enumerate(submission.questions, 1):
        for place, check in enumerate(question.checks, 1):
            what = f"hidden check of {clean(check.statement, 100)}" if check.hidden else words(check.name)
            said = "" if check.passed or check.hidden or not check.message else f"{clean(check.message)}\n\n"
            tests.append(_test(f"{number}.{place}", f"{clean(question.name, NAME)}: {what}", check.points if check.passed else 0, check.points))
            tests[-1] |= {"output": f"{said}{check.statement}: {says(check.statement)}", "visibility": hidden if check.hidden else "visible"}
        if not question.checks:  # nothing could be run
            tests.append(_test(str(number), clean(question.name, NAME), 0, question.max_score) | {"output": "not graded", "visibility": "visible"})
    notes = [clean(flag) for flag in submission.flags] + ["Written answers are graded by hand."]
    found = {"score": submission.score, "output": "\n".join(notes), "output_format": "text", "test_output_format": "text", "test_name_format": "text"}
    kept = {
        "set": report.set,
        "edition": report.edition,
        "secret_fingerprint": report.secret_fingerprint,
        "sandbox": report.sandbox,
        "versions": report.versions,
    }
    if seconds is not None:
        found["execution_time"] = seconds
    return found | {"stdout_visibility": "hidden", "extra_data": kept, "tests": tests}


def write_results(report: Report, folder: Path, hidden: str) -> list[Path]:
    """One results.json for every student, named as the feedback pages are."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        names = file_names((submission.student for submission in report.submissions), ".json")
        for submission in report.submissions:
            write_file(folder / names[submission.student], json_bytes(results(report, submission, hidden)))
    except OSError as error:
        raise KitError(f"the folder {folder} cannot be written ({error.strerror}); name another one with --to") from None
    return [folder / name for name in names.values()]


def bundle(problem_set: str, to: Path, secret: bytes, hidden: str = "after_due_date", root: Path = ROOT) -> Path:
    """Writes the zip that Gradescope takes as an autograder; the same course and secret give the same bytes.

    Raises:
        KitError: where the set is unknown or not built, or the file cannot be written.
    """
    require_set(problem_set, root)
    if not (root / "assignments" / problem_set / f"{problem_set}.ipynb").is_file():
        raise KitError(f"there is no released notebook of {problem_set}; build the set with `autograder build {problem_set}` first")
    if hidden not in VISIBILITIES:
        raise KitError(f"hidden must be one of {', '.join(VISIBILITIES)}, got {hidden!r}")
    made = {
        "setup.sh": (SETUP.encode(), 0o755),
        "run_autograder": (RUN.format(set=problem_set, visibility=hidden).encode(), 0o755),
        "secret.key": (set_key(secret, problem_set), 0o600),
    }
    try:
        temporary = to.with_name(f".{to.name}.part")
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, (content, mode) in made.items():
                _put(archive, name, content, mode)
            for path in _kit(problem_set, root):
                _put(archive, path.relative_to(root).as_posix(), path.read_bytes(), 0o644)
        temporary.chmod(0o600)  # it holds a key
        temporary.replace(to)
    except OSError as error:
        raise KitError(f"cannot write {to} ({error.strerror}); name another file with --to") from None
    return to


def set_key(secret: bytes, problem_set: str) -> bytes:
    """The secret of one set on Gradescope."""
    return hmac.new(secret, f"gradescope|{problem_set}".encode(), hashlib.sha256).digest()


def run(problem_set: str, folder: Path, hidden: str) -> None:
    """Grades what lies in `folder`/submission and writes `folder`/results/results.json."""
    from autograder import grading

    student = student_of(folder / "submission_metadata.json")
    try:
        handin = collecting.pick(folder / "submission", student, problem_set)
    except KitError as error:
        handin = collecting.Handin(student, "", fault=str(error))
    try:
        report = grading.grade(problem_set, handin.read(), student)
    except SubmissionError as error:
        refused = grading.unreadable(grading.Task(problem_set, student, b""), str(error))
        report = grading.report_of(problem_set, [refused.submission], grading.course_secret(), grading.sandbox.require(2))
    submission = replace(report.submissions[0], flags=(*handin.flags, *report.submissions[0].flags))
    (folder / "results").mkdir(exist_ok=True)
    write_file(folder / "results" / "results.json", json_bytes(results(report, submission, hidden)))
    print(f"{clean(student)}: {submission.score:g} of {submission.max_score:g}, sandbox level {report.sandbox}")


def student_of(metadata: Path) -> str:
    """The id that seeds a submission's inputs: the e-mail addresses of everybody in the group, so that it does not matter who submits."""
    try:
        users = json.loads(metadata.read_bytes())["users"]
        return ",".join(sorted(str(user.get("email") or user["id"]) for user in users)) or "submission"
    except FileNotFoundError:
        return "submission"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise KitError(f"{metadata} does not name the submission's users as Gradescope does") from None


def _test(number: str, name: str, score: float, most: float) -> dict:
    return {"number": number, "name": name, "score": score, "max_score": most, "status": "passed" if score >= most else "failed"}


def _kit(problem_set: str, root: Path) -> Iterator[Path]:
    """The files that the grader of one set reads; of other sets only what says which exercises are theirs."""
    found = [root / name for name in WHOLE]
    found += (root / "lib").rglob("*")
    found += (path for path in (root / "autograder").rglob("*") if path.parent.parent.name != "checks" or path.parent.name == problem_set)
    found += (root / "solutions").glob("*/*.md")
    found += (root / "assignments" / problem_set).rglob("*")
    for path in sorted(found):
        if (
            path.is_file()
            and "__pycache__" not in path.parts
            and not any(part.startswith(".") or part.endswith(".egg-info") for part in path.relative_to(root).parts)
        ):
            yield path


def _put(archive: zipfile.ZipFile, name: str, content: bytes, mode: int) -> None:
    info = zipfile.ZipInfo(name, STAMP)
    info.compress_type, info.create_system, info.external_attr = zipfile.ZIP_DEFLATED, 3, (0o100000 | mode) << 16
    archive.writestr(info, content)


if __name__ == "__main__":
    try:
        run(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
    except KitError as error:
        sys.exit(f"autograder: {error}")

"""What grading found, as data, and every form in which people read it: JSON, CSV, one page a student, one page for the class, a terminal table.

Names, paths and messages come from students and are hostile: control and direction characters are stripped, texts cut, HTML escaped, CSV cells
that a spreadsheet would run are defused, file names made from a safe alphabet. A hidden check shows the statement that it tests and nothing else.
No file holds a time or an order of its own, so that the same grades give the same bytes; times, where given, go to `timings.json`.
"""

import hashlib
import io
import json
import os
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from autograder.checking import CheckResult, statements
from autograder.errors import KitError
from autograder.protocol import clean

__all__ = ["CheckResult", "Question", "Report", "Submission", "load", "merge", "prepare", "table", "write"]

NAME = 255  # characters of a student's name, path or flag that are shown
TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Question:
    """One exercise: `score` is the sum of the passed checks' points."""

    name: str
    score: int
    max_score: int
    checks: tuple[CheckResult, ...] = ()


@dataclass(frozen=True)
class Submission:
    """One notebook of one student; `flags` are sentences that an instructor should read."""

    student: str
    path: str
    score: int
    max_score: int
    flags: tuple[str, ...] = ()
    questions: tuple[Question, ...] = ()


@dataclass(frozen=True)
class Report:
    """A set's grades and what they depend on: the edition and versions graded with, the secret (its fingerprint), the sandbox level.

    `refused` are sentences about files that were handed in and name no student.
    """

    set: str
    edition: str
    versions: dict[str, str]
    secret_fingerprint: str
    sandbox: int
    submissions: tuple[Submission, ...] = ()
    refused: tuple[str, ...] = ()

    def to_json(self) -> dict:
        """The report as JSON's types, texts cleaned; messages of hidden checks are left out, and `refused` where it is empty."""
        record = {**vars(self), "submissions": [_submission_json(submission) for submission in self.submissions]}
        refused = [clean(sentence) for sentence in record.pop("refused")]
        return record | ({"refused": refused} if refused else {})


def load(record: dict) -> Report:
    """The report that `to_json` wrote."""
    return Report(**record | {"submissions": tuple(map(load_submission, record["submissions"])), "refused": tuple(record.get("refused", ()))})


def read_report(path: Path) -> Report:
    """The report in a folder that `write` filled, or in its report.json; raises KitError where there is none."""
    path = path / "report.json" if path.is_dir() else path
    try:
        return load(json.loads(path.read_bytes()))
    except OSError as error:
        raise KitError(f"cannot read {path}: {error.strerror}; name the folder that `autograder grade --out` wrote") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise KitError(f"{path} is no report of `autograder grade`; name the folder that it wrote, or the report.json in it") from None


def load_submission(record: dict) -> Submission:
    """The submission that a report's JSON holds; raises KeyError, TypeError or ValueError on anything else."""
    questions = []
    for question in record["questions"]:
        checks = tuple(CheckResult(**check) for check in question["checks"])
        questions.append(Question(**question | {"checks": checks}))
    return Submission(**record | {"flags": tuple(record["flags"]), "questions": tuple(questions)})


def merge(reports: Iterable[Report]) -> Report:
    """One report of several with equal set, in the order of the students' ids; raises KitError where there is none or the sets differ."""
    reports = list(reports)
    sets = sorted({report.set for report in reports})
    if len(sets) != 1:
        raise KitError(f"reports of one problem set can be merged, got {', '.join(sets) or 'none'}")
    submissions = sorted((submission for report in reports for submission in report.submissions), key=lambda submission: submission.student)
    return replace(reports[0], submissions=tuple(submissions), refused=tuple(sentence for report in reports for sentence in report.refused))


def reason(check: CheckResult) -> str:
    """Why a check failed, as a student may read it."""
    if check.hidden or not check.message:
        return f"{'hidden check' if check.hidden else 'check'} of {check.statement}: {says(check.statement)}"
    return clean(check.message)


def losses(submission: Submission) -> list[tuple[str, str]]:
    """(exercises, why): for every exercise that a check failed the first one that did; exercises lost for one reason stand together."""
    found: dict[str, list[str]] = {}
    for question in submission.questions:
        failed = [check for check in question.checks if not check.passed]
        if failed:
            found.setdefault(reason(failed[0]), []).append(clean(question.name, NAME))
    return [(", ".join(names), why) for why, names in found.items()]


def prepare(out: Path | str) -> Path:
    """Make the output folder and try to write in it, so that nobody grades for an hour in vain.

    Raises:
        KitError: where it cannot be made or written.
    """
    out = Path(out)
    try:
        (out / "feedback").mkdir(parents=True, exist_ok=True)
        for folder in (out, out / "feedback"):
            write_file(folder / ".writable", b"")
            (folder / ".writable").unlink()
    except OSError as error:
        raise KitError(f"the output folder {out} cannot be written ({error.strerror or error}); name another one with --out") from None
    return out


def write(report: Report, out: Path | str, timings: dict | None = None) -> None:
    """Write report.json, grades.csv, class.html and feedback/<student>.html into `out`, each at once or not at all, report.json last.

    Args:
        timings: anything that json takes, seconds by convention; written to timings.json, outside the promise of equal bytes.
    """
    from autograder import classpage, exporting

    out = prepare(out)
    pages = file_names(submission.student for submission in report.submissions)
    for submission in report.submissions:
        write_file(out / "feedback" / pages[submission.student], feedback(report, submission).encode())
    write_file(out / "class.html", classpage.class_page(report, pages, timings).encode())
    write_file(out / "grades.csv", exporting.grades(report).encode())
    if timings is not None:
        write_file(out / "timings.json", json_bytes(timings))
    write_file(out / "report.json", json_bytes(report.to_json()))


def write_file(path: Path, content: bytes) -> None:
    """Replace a file at once: a reader, or a machine that dies, sees the old bytes or the new ones."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def file_names(students: Iterable[str], suffix: str = ".html") -> dict[str, str]:
    """A file name for every student: letters, digits, `.`, `_` and `-`, and a hash of the id where that is not the id itself, or not alone
    on a disk that ignores case."""
    students = list(students)
    safe = {student: re.sub(r"[^A-Za-z0-9_.-]", "_", student[:80]).lstrip(".") for student in students}
    folded = Counter(name.casefold() for name in safe.values())
    names = {}
    for student, name in safe.items():
        if not name or name != student or folded[name.casefold()] > 1:
            name += "-" + hashlib.sha256(student.encode("utf-8", "surrogatepass")).hexdigest()[:12]
        names[student] = name + suffix
    return names


def feedback(report: Report, submission: Submission) -> str:
    """The page of one student: self-contained, no script, nothing loaded from the network, nothing of a hidden check but its statement."""
    return template("feedback.html").render(report=report, submission=submission)


def question_html(question: Question) -> str:
    """The checks of one exercise as HTML that survives nbconvert's sanitiser."""
    return str(template("question.html").module.checks(question)).strip()


def question_text(question: Question) -> str:
    """The checks of one exercise, one a line."""
    lines = [f"{question.score:g} of {question.max_score:g} points"]
    for check in question.checks:
        what = "hidden check of" if check.hidden else f"{words(check.name)};"
        lines.append(f"{'passed' if check.passed else 'FAILED'}  {check.points:g}  {what} {check.statement}: {says(check.statement)}")
        if not check.passed and not check.hidden and check.message:
            lines.append(f"        {clean(check.message)}")
    return "\n".join(lines)


def table(report: Report, width: int | None = None) -> str:
    """Who got what and why, as text `width` characters wide: the terminal's width, or 140 where there is none."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rows = Table(title=f"{clean(report.set, NAME)}, sandbox level {report.sandbox}", show_lines=True, title_justify="left")
    rows.add_column("student", overflow="fold", max_width=40)
    rows.add_column("score", justify="right", no_wrap=True)
    rows.add_column("why", overflow="fold")
    for submission in report.submissions:
        why = [clean(flag) for flag in submission.flags] + [f"{name}: {text}" for name, text in losses(submission)]
        score = f"{submission.score:g}/{submission.max_score:g}"
        rows.add_row(Text(clean(submission.student, NAME)), score, Text("\n".join(why)))  # Text: no markup of the student's is read
    width = width or (shutil.get_terminal_size().columns if sys.stdout.isatty() else 140)
    text = io.StringIO()
    Console(file=text, width=width, highlight=False, color_system=None).print(rows)
    refused = [f"refused: {clean(sentence)}" for sentence in report.refused]
    return "\n".join([text.getvalue().rstrip("\n"), *refused])


def _submission_json(submission: Submission) -> dict:
    texts = {"student": clean(submission.student, NAME), "path": clean(submission.path, 4 * NAME), "flags": [clean(flag) for flag in submission.flags]}
    return {**vars(submission), **texts, "questions": [_question_json(question) for question in submission.questions]}


def _question_json(question: Question) -> dict:
    checks = [
        {
            "name": check.name,
            "statement": check.statement,
            "hidden": check.hidden,
            "points": check.points,
            "passed": check.passed,
            "message": "" if check.hidden else clean(check.message),
        }
        for check in question.checks
    ]
    return {**vars(question), "checks": checks}


def json_bytes(record: object) -> bytes:
    return (json.dumps(record, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "replace")  # file names need not be UTF-8


@cache
def says(statement: str) -> str:
    """What a statement says, for people."""
    return clean(statements().get(statement, "a statement that statements.tsv does not list"))


def words(name: str) -> str:
    """A check's name as people say it."""
    return clean(name, 200).removeprefix("test_").replace("_", " ")


def question_names(report: Report) -> list[str]:
    """The exercises of a report, in notebook order."""
    return list(dict.fromkeys(question.name for submission in report.submissions for question in submission.questions))


@cache
def _environment():
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(clean=clean, says=says, words=words, number=lambda value: f"{value:g}")
    return environment


def template(name: str):
    """A page's template; whatever is put into it is escaped."""
    return _environment().get_template(name)

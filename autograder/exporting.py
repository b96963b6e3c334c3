"""Grades as tables: one per question for spreadsheets, and Canvas's gradebook, of which one column is filled and every other byte is kept.

What Canvas reads is taken from its `gradebook_importer.rb`: the columns Student (or LastName, FirstName), ID, SIS User ID, SIS Login ID, Section, then
one column an assignment, `name (number)`; rows of points possible and of posting policies; a comma or, by locale, a semicolon between cells. Names and
flags come from students: a cell that a spreadsheet would run gets an apostrophe.
"""

import csv
import io
import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from autograder.errors import KitError
from autograder.protocol import clean
from autograder.reporting import NAME, Report, question_names
from autograder.senders import canvas_number

FORMULA = tuple("=+-@＝＋－＠")  # what makes a spreadsheet run a cell; the full-width forms count in some locales
COLUMNS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
ASSIGNMENT = re.compile(r"(?P<title>.+) \((?P<number>\d+)\)\s*")
COMPUTED = re.compile(r"(Current|Final|Override) (Score|Points|Grade|Status)")
LARGEST = 64 * 2**20  # bytes of a gradebook
SHOWN = 10  # names in one sentence


@dataclass(frozen=True)
class Gradebook:
    """A gradebook that Canvas exported.

    Attributes:
        rows: its cells as they stand in the file, each with the separator or line end after it, so that joining them gives the file.
        values: the same cells without quotes.
        column: the place of the assignment that is to be filled.
    """

    rows: list[list[tuple[str, str]]]
    values: list[list[str]]
    column: int

    @property
    def assignment(self) -> str:
        return self.values[0][self.column].strip()


def grades(report: Report) -> str:
    """One line a student, one column a question, texts quoted."""
    questions = question_names(report)
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerow(["student", *(cell(name) for name in questions), "score", "max_score", "flags"])
    for submission in report.submissions:
        scores = {question.name: question.score for question in submission.questions}
        row = [scores.get(name, 0) for name in questions]
        flags = "; ".join(clean(flag) for flag in submission.flags)
        writer.writerow([cell(submission.student), *row, submission.score, submission.max_score, cell(flags, 10_000)])
    return text.getvalue()


def cell(text: str, limit: int = NAME) -> str:
    """A text that no spreadsheet runs."""
    text = clean(text, limit)
    return "'" + text if text.startswith(FORMULA) else text


def read_gradebook(path: Path, assignment: str | None, problem_set: str) -> Gradebook:
    """The gradebook that Canvas exported to a file.

    Args:
        assignment: header, title or number of the column to fill; by default the one whose title holds the set's name.

    Raises:
        KitError: where it is no such file, or does not have exactly one such column.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise KitError(f"cannot read the gradebook {path}: {error.strerror}") from None
    if len(content) > LARGEST:
        raise KitError(f"the gradebook {path} has more than {LARGEST >> 20} MB; export it again from Canvas")
    text = content.decode("utf-8", "surrogateescape")
    separator = max(",;", key=text.partition("\n")[0].count)
    rows = _cells(text, separator)
    values = [[raw[1:-1].replace('""', '"') if raw.startswith('"') else raw for raw, _ in row] for row in rows]
    if values and values[0]:
        values[0][0] = values[0][0].removeprefix("\ufeff")
    header = [value.strip() for value in values[0]] if values else []
    if not {"ID", "Section"} <= set(header) or not {"Student", "LastName"} & set(header):
        raise KitError(f"{path} is no gradebook that Canvas exported: its first row must have the columns {', '.join(COLUMNS)}")
    if wrong := next((number for number, row in enumerate(values, 1) if len(row) != len(header) and row != [""]), None):
        raise KitError(f"row {wrong} of the gradebook {path} has {len(values[wrong - 1])} cells and the first has {len(header)}; export it again from Canvas")
    return Gradebook(rows, values, _column(values, header, assignment, problem_set, path))


def fill(gradebook: Gradebook, report: Report) -> tuple[bytes, list[str]]:
    """The gradebook with the scores of a report in its column, and sentences on what did not match.

    A submission belongs to the row whose ID, SIS User ID, SIS Login ID or Integration ID is the student's id, or whose name and ID are those that
    Canvas wrote into the name of the file. Excused students (EX) and those to whom the work is not assigned (N/A) keep what they have.
    """
    where, rows = _rows(gradebook), [list(row) for row in gradebook.rows]
    taken: dict[int, list[str]] = defaultdict(list)
    unmatched, kept = [], []
    scores = {submission.student: submission.score for submission in report.submissions}
    for student in scores:
        found = where.get(student) or where.get(student.casefold()) or set()
        if len(found) == 1:
            taken[min(found)].append(student)
        else:
            unmatched.append(student)
    for place, students in sorted(taken.items()):
        if len(students) > 1:
            unmatched += students
        elif gradebook.values[place][gradebook.column].strip().upper() in ("EX", "N/A"):
            kept += students
        else:
            rows[place][gradebook.column] = (f"{scores[students[0]]:g}", rows[place][gradebook.column][1])
    filled = sum(len(students) == 1 for students in taken.values()) - len(kept)
    sentences = [f"{filled} of {len(scores)} scores are in the column {clean(gradebook.assignment)!r}"]
    missing = [place for place in set().union(*where.values()) - set(taken)]
    absent = [_student(gradebook.values[place], gradebook.values[0]) for place in sorted(missing)]
    sentences += _list("no row, or no single one, for the submissions of", sorted(unmatched), len(unmatched))
    sentences += _list("excused or not assigned, and left so", sorted(kept), SHOWN)
    sentences += _list("no submission, cell left as it was", absent, SHOWN)
    sentences += _points(gradebook, report)
    return "".join(raw + end for row in rows for raw, end in row).encode("utf-8", "surrogateescape"), sentences


def minimal_gradebook(report: Report, assignment: str | None = None) -> bytes:
    """A gradebook for Canvas where there is none to fill: it looks students up by ID, else by SIS Login ID, else by name."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, cell(assignment or report.set)])
    writer.writerow(["    Points Possible", "", "", "", "", f"{max((s.max_score for s in report.submissions), default=0):g}"])
    for submission in report.submissions:
        number = canvas_number(submission.student, submission.path)
        login = "" if number else cell(submission.student)
        writer.writerow([cell(submission.student), number, "", login, "", f"{submission.score:g}"])
    return text.getvalue().encode()


def _cells(text: str, separator: str) -> list[list[tuple[str, str]]]:
    """The cells of each line as they stand, each with what ends it."""
    pattern = re.compile(rf'("(?:[^"]|"")*"|(?!")[^{separator}\r\n]*)({separator}|\r?\n|\r|\Z)')
    rows, row, place = [], [], 0
    while place < len(text) or row:
        match = pattern.match(text, place)
        if not match:
            raise KitError(f"the gradebook has a cell whose quotes do not match, near {clean(text[place : place + 40])!r}; export it again from Canvas")
        row.append(match.groups())
        place = match.end()
        if match[2] != separator:
            rows.append(row)
            row = []
    return rows


def _column(values: list[list[str]], header: list[str], assignment: str | None, problem_set: str, path: Path) -> int:
    """The place of the column to fill."""
    points = next((row for row in values if "Points Possible" in row[0]), [])
    read_only = {place for place, value in enumerate(points) if "read only" in value}
    places = [i for i, name in enumerate(header) if i > header.index("Section") and not COMPUTED.search(name) and i not in read_only]
    titled = [(place, match["title"], match["number"]) for place in places if (match := ASSIGNMENT.fullmatch(header[place]))]
    if assignment is not None:
        found = [place for place in places if header[place] == assignment.strip()]
        found = found or [place for place, title, number in titled if assignment.strip() in (title, number)]
        wanted = f"--assignment {assignment!r}"
    else:
        name = _plain(problem_set)
        found = [place for place, title, _ in titled if _plain(title) == name] or [place for place, title, _ in titled if name in _plain(title)]
        wanted = f"the name of {problem_set}"
    if len(found) == 1:
        return found[0]
    among = ", ".join(repr(clean(header[place])) for place, _, _ in titled[:30]) or "none"
    raise KitError(f"{wanted} names {len(found) or 'no'} columns of the gradebook {path}; name one with --assignment: {among}")


def _plain(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


def _rows(gradebook: Gradebook) -> dict[str, set[int]]:
    """The rows of students, by everything that may be a student's id."""
    header = [value.strip() for value in gradebook.values[0]]
    found: dict[str, set[int]] = defaultdict(set)
    for place, row in enumerate(gradebook.values):
        policy = all(re.fullmatch(r"\s*(Muted|Manual Posting.*)?\s*", value, re.IGNORECASE) for value in row)
        if place == 0 or policy or "Points Possible" in row[0] or len(row) < len(header):
            continue
        cells = dict(zip(header, row, strict=False))
        keys = {cells.get(name, "").strip() for name in ("ID", "SIS User ID", "SIS Login ID", "Integration ID")} - {""}
        keys |= {key.casefold() for key in keys}
        for key in keys | {_as_canvas_names(cells)}:
            found[key].add(place)
    return found


def _as_canvas_names(cells: dict[str, str]) -> str:
    """What Canvas's `content_zipper.rb` makes of a name and a number at the beginning of a file's name."""
    name = cells.get("Student") or f"{cells.get('LastName', '')}, {cells.get('FirstName', '')}"
    name = re.sub(r'\A\s*="(.*)"\Z', r"\1", name)  # Canvas's own guard against formulas
    name = re.sub(r"_(\d+)_", r"\1", name).lower()
    joined = unicodedata.normalize("NFC", f"{name}_{cells.get('ID', '').strip()}")
    return "".join(c for c in joined if c.isalnum() or unicodedata.category(c) in ("Mn", "Mc", "Me", "Pc"))


def _student(row: list[str], header: list[str]) -> str:
    cells = dict(zip((name.strip() for name in header), row, strict=False))
    return cells.get("Student") or f"{cells.get('LastName', '')}, {cells.get('FirstName', '')}"


def _points(gradebook: Gradebook, report: Report) -> list[str]:
    """What to say where Canvas gives the assignment other points than the checks do: written answers are not in the report."""
    most = max((submission.max_score for submission in report.submissions), default=0)
    for row in gradebook.values:
        possible = row[gradebook.column].strip() if "Points Possible" in row[0] else ""
        if possible and re.fullmatch(r"[\d.]+", possible) and float(possible) != most:
            return [f"Canvas gives {possible} points for it and the checks {most:g}: written answers are graded by hand and not in this column"]
    return []


def _list(what: str, names: list[str], most: int) -> list[str]:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return [f"{what}: {', '.join(clean(name, 80) for name in names[:most])}{more}"] if names else []

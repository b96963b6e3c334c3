"""Grades as tables: nothing in them is a formula, and of Canvas's gradebook nothing but the scores changes."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder import exporting
from autograder.collecting import gather
from autograder.errors import KitError
from autograder.exporting import fill, grades, minimal_gradebook, read_gradebook
from autograder.reporting import Question, Report, Submission

SET = "ps05_smoothing"
NAMES = ["ann", "Zoë Ünal", "", '=HYPERLINK("http://x")', "-1+1", "@x", "\t=1", " +1", "＝1", "a\u202e=1", "\u202e=1", "\ud800", "x" * 5000, 'a"b,c;d\ne']
HEADER = "Student,ID,SIS User ID,SIS Login ID,Section,Notes,PS05 Smoothing (4321),Essay (99),Problem set 6 (4322),Current Score,Final Score"
GRADEBOOK = f'''\ufeff{HEADER}
,,,,,,Manual Posting,,,,
    Points Possible,,,,,,28.00,10.00,5.00,(read only),(read only)
"Doe, Jane",12345,S-1,jdoe,"A, and B",,,7.5,,88.00,80.00
"O'Neil-Smith, Zoë",12346,S-2,Zoe@x.edu,A,"said ""hi"", left",3.00,,1,,
"=""cmd|' /C calc'!A0""",12347,S-3,evil,A,,EX,,,,
"Roe, Al",12348,,,A,"two
lines",N/A,,,,
"Poe, Le",12349,S-5,lpoe,A,,12,,,,
"Student, Test",12350,,c0ffee,A,,,,,,
'''.replace("\n", "\r\n")


def report(**scores: int) -> Report:
    return of({name: score for name, score in scores.items()})


def of(scores: dict[str, float], most: int = 28) -> Report:
    found = (Submission(name, f"{name}.ipynb", score, most, ("a note",), (Question("predict", score, most),)) for name, score in scores.items())
    return Report(SET, "e", {}, "f", 3, tuple(found))


def write(folder: Path, text: str = GRADEBOOK) -> Path:
    path = folder / "gradebook.csv"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return path


def filled(folder: Path, found: Report, text: str = GRADEBOOK, assignment: str | None = None) -> tuple[str, list[str]]:
    content, sentences = fill(read_gradebook(write(folder, text), assignment, SET), found)
    return content.decode("utf-8", "surrogateescape"), sentences


def rows(text: str, separator: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=separator))


def test_no_cell_of_the_table_is_a_formula():
    text = grades(of({name: 6 for name in NAMES}))
    found = rows(text)
    assert found[0] == ["student", "predict", "score", "max_score", "flags"]
    assert len(found) == len(NAMES) + 1
    assert all(not cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝")) for row in found for cell in row)
    assert [row[1:] for row in found[1:]] == [["6", "6", "28", "a note"]] * len(NAMES)
    assert "'=HYPERLINK" in text


def test_one_column_is_filled_and_every_other_byte_is_kept(tmp_path):
    text, sentences = filled(tmp_path, report(jdoe=27, evil=5))
    expected = GRADEBOOK.replace('"A, and B",,,7.5', '"A, and B",,27,7.5')
    assert text == expected
    text, sentences = filled(tmp_path, of({"12345": 27, "S-2": 4.5, "lpoe": 0}))
    assert text == expected.replace('left",3.00,', 'left",4.5,').replace("A,,12,", "A,,0,")
    assert sentences[0] == "3 of 3 scores are in the column 'PS05 Smoothing (4321)'"
    assert sentences[1:] == ["no submission, cell left as it was: =\"cmd|' /C calc'!A0\", Roe, Al, Student, Test"]


def test_a_report_without_submissions_changes_nothing(tmp_path):
    assert filled(tmp_path, of({}))[0] == GRADEBOOK


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_line_ends_and_semicolons_are_kept(tmp_path, ending, last):
    text = GRADEBOOK.replace(",", ";").replace("\r\n", ending)
    text = text if last else text.removesuffix(ending)
    assert filled(tmp_path, report(jdoe=27), text)[0] == text.replace('"A; and B";;;7.5', '"A; and B";;27;7.5')


cells = st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"), max_size=8).map(lambda text: text.replace("Points Possible", ""))


@settings(database=None, derandomize=True, deadline=None, max_examples=200)
@given(st.lists(st.tuples(cells, cells, cells), max_size=6), st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]), st.data())
def test_whatever_stands_in_the_other_cells_is_kept(tmp_path_factory, found, quoting, data):
    """The other reader is Python's own."""
    table = [["Student", "ID", "Section", "x", "PS05 smoothing (1)", "y"]]
    table += [[name, str(1000 + number), "A", left, "", right] for number, (name, left, right) in enumerate(found)]
    out = io.StringIO(newline="")
    csv.writer(out, quoting=quoting).writerows(table)
    who = data.draw(st.sets(st.integers(0, max(len(found) - 1, 0)))) if found else set()
    text, sentences = filled(tmp_path_factory.mktemp("x"), of({str(1000 + number): number for number in who}), out.getvalue())
    for number in who:
        table[number + 1][4] = str(number)
    assert rows(text) == table
    assert sentences[0].startswith(f"{len(who)} of {len(who)} scores")
    if not who:
        assert text == out.getvalue()


def test_names_that_canvas_wrote_into_files_lead_to_their_rows(tmp_path):
    files = {
        "doejane_12345_777_ps05_smoothing.ipynb": 1,
        "oneilsmithzoë_LATE_12346_778_ps05_smoothing.ipynb": 2,
        "poele_12349_779_ps05_smoothing-1.ipynb": 3,
    }
    for name in files:
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_text("{}")
    students = [handin.student for handin in gather([tmp_path / "in"], SET)[0]]
    text, sentences = filled(tmp_path, of(dict(zip(students, (1, 2, 3), strict=True))))
    assert [row[6] for row in rows(text)[3:]] == ["1", "2", "EX", "N/A", "3", ""]
    assert sentences[0].startswith("3 of 3")


def test_who_calls_themselves_another_gets_nobodys_row(tmp_path):
    """A student named x_12345 makes Canvas write x_12345_<own number>_<upload>_..., which reads as number 12345, the number of another."""
    text, sentences = filled(tmp_path, of({"x_12345": 28, "doejane_99": 28, "jane_12345": 28, "Doe, Jane_12345": 28, "nobody": 3}))
    assert text == GRADEBOOK
    assert sentences[:2] == [
        "0 of 5 scores are in the column 'PS05 Smoothing (4321)'",
        "no row, or no single one, for the submissions of: Doe, Jane_12345, doejane_99, jane_12345, nobody, x_12345",
    ]


def test_every_submission_that_matches_no_row_is_named(tmp_path):
    sentences = filled(tmp_path, of({f"nobody{number}": 1 for number in range(50)}))[1]
    assert all(f"nobody{number}" in sentences[1] for number in range(50))


def test_logins_match_whatever_their_capitals(tmp_path):
    assert rows(filled(tmp_path, of({"JDOE": 27}))[0])[3][6] == "27"
    assert rows(filled(tmp_path, of({"zoe@x.edu": 27}))[0])[4][6] == "27"


def test_two_submissions_for_one_row_and_one_for_two_rows_fill_nothing(tmp_path):
    text, sentences = filled(tmp_path, of({"jdoe": 1, "12345": 2, "lpoe": 3}))
    assert [row[6] for row in rows(text)[3:5]] == ["", "3.00"]
    assert "for the submissions of: 12345, jdoe" in sentences[1]
    twice = GRADEBOOK.replace("S-5,lpoe", "12345,lpoe")  # one student's SIS id is another's number
    text, sentences = filled(tmp_path, of({"12345": 2}), twice)
    assert text == twice
    assert "for the submissions of: 12345" in sentences[1]


def test_the_excused_stay_excused(tmp_path):
    text, sentences = filled(tmp_path, of({"evil": 5, "12348": 6}))
    assert text == GRADEBOOK
    assert sentences[:2] == ["0 of 2 scores are in the column 'PS05 Smoothing (4321)'", "excused or not assigned, and left so: 12348, evil"]


def test_other_points_in_canvas_are_said(tmp_path):
    assert "Canvas gives 10.00 points for it and the checks 28: written answers" in filled(tmp_path, report(jdoe=5), assignment="99")[1][-1]
    assert not any("Canvas gives" in sentence for sentence in filled(tmp_path, report(jdoe=5))[1])


@pytest.mark.parametrize("name", [None, "4321", "PS05 Smoothing", "PS05 Smoothing (4321)", " PS05 Smoothing (4321) "])
def test_the_column_is_found_by_name_and_number(tmp_path, name):
    assert read_gradebook(write(tmp_path), name, SET).column == 6


@pytest.mark.parametrize("name", ["Current Score", "Notes (1)", "Section", "4", "ps05", "", "Final Score"])
def test_a_column_that_is_none_or_not_to_be_filled_is_refused_and_those_there_are_named(tmp_path, name):
    with pytest.raises(KitError, match=r"'PS05 Smoothing \(4321\)', 'Essay \(99\)'") as caught:
        read_gradebook(write(tmp_path), name, SET)
    assert "\n" not in str(caught.value)


def test_where_two_columns_bear_the_sets_name_one_must_be_chosen(tmp_path):
    text = GRADEBOOK.replace("Essay (99)", "PS05 smoothing late (99)")
    assert read_gradebook(write(tmp_path, text), None, SET).column == 6  # the one that bears it alone
    text = text.replace("PS05 Smoothing (", "My ps05-smoothing (")
    with pytest.raises(KitError, match="names 2 columns"):
        read_gradebook(write(tmp_path, text), None, SET)
    with pytest.raises(KitError, match="the name of ps09 names no columns"):
        read_gradebook(write(tmp_path, text), None, "ps09")


def test_first_and_last_names_apart_are_read_too(tmp_path):
    text = "LastName,FirstName,ID,SIS Login ID,Section,ps05_smoothing (1)\nDoe,Jane,7,jdoe,A,\nRoe,Al,8,aroe,A,\n"
    assert [row[5] for row in rows(filled(tmp_path, of({"doejane_7": 5, "aroe": 6}), text)[0])[1:]] == ["5", "6"]


def test_a_gradebook_in_another_encoding_is_kept(tmp_path):
    raw = "Student,ID,SIS Login ID,Section,ps05_smoothing (1)\nÜnal,7,unal,A,\n".encode("latin-1")
    (tmp_path / "g.csv").write_bytes(raw)
    assert fill(read_gradebook(tmp_path / "g.csv", None, SET), of({"unal": 5}))[0] == raw.replace(b"A,\n", b"A,5\n")


@pytest.mark.parametrize(
    "text, why",
    [
        ("", "no gradebook that Canvas exported"),
        ("\n", "no gradebook that Canvas exported"),
        ("name,score\nann,3\n", "no gradebook that Canvas exported"),
        (HEADER.encode("utf-16").decode("latin-1"), "no gradebook that Canvas exported"),
        (HEADER + '\n"Doe, Jane,1\n', "quotes do not match"),
        (HEADER + '\n"Doe" x,1\n', "quotes do not match"),
        (HEADER + "\nDoe,1\n", "row 2 .* has 2 cells and the first has 11"),
    ],
)
def test_what_is_no_gradebook_is_one_sentence(tmp_path, text, why):
    with pytest.raises(KitError, match=why) as caught:
        read_gradebook(write(tmp_path, text), None, SET)
    assert "\n" not in str(caught.value)


def test_a_gradebook_that_cannot_be_read_is_one_sentence(tmp_path, monkeypatch):
    with pytest.raises(KitError, match="cannot read the gradebook .*No such file"):
        read_gradebook(tmp_path / "nowhere.csv", None, SET)
    monkeypatch.setattr(exporting, "LARGEST", 10)
    with pytest.raises(KitError, match="has more than 0 MB"):
        read_gradebook(write(tmp_path), None, SET)


def test_without_a_gradebook_a_small_one_is_made():
    found = of({"jdoe": 5, "=1+1": 6, "doejane_12345": 7, "Erin Fox_77": 8})
    by_canvas = Submission("doejane_12345", "s.zip/doejane_LATE_12345_777_hw.ipynb", 7, 28)
    found = Report(SET, "e", {}, "f", 3, (*found.submissions[:2], by_canvas, found.submissions[3]))
    text = minimal_gradebook(found, "PS 5 (4321)").decode()
    assert rows(text) == [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "PS 5 (4321)"],
        ["    Points Possible", "", "", "", "", "28"],
        ["jdoe", "", "", "jdoe", "", "5"],
        ["'=1+1", "", "", "'=1+1", "", "6"],
        ["doejane_12345", "12345", "", "", "", "7"],
        ["Erin Fox_77", "", "", "Erin Fox_77", "", "8"],  # Moodle's number is not Canvas's
    ]
    assert rows(minimal_gradebook(of({})).decode())[0][-1] == SET

"""What Gradescope is given: results.json by its specification, and an autograder zip that runs in a folder that plays /autograder."""

import json
import os
import re
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from autograder import gradescope, grading, trials
from autograder.course import ROOT
from autograder.errors import KitError
from autograder.gradescope import bundle, results, set_key, student_of, write_results
from autograder.reporting import CheckResult, Question, Report, Submission, statements

SET = "ps05_smoothing"
SECRET = b"s" * 32
EVIL = "<script>alert(1)</script>"
TOP = {"score", "execution_time", "output", "output_format", "test_output_format", "test_name_format", "visibility", "stdout_visibility", "extra_data", "tests"}
TEST = {"score", "max_score", "status", "name", "name_format", "number", "output", "output_format", "tags", "visibility", "extra_data"}


def check(name: str, hidden: bool, passed: bool, message: str = "", points: int = 2) -> CheckResult:
    return CheckResult(name, "cohen-thm-1", hidden, points, passed, message)


def report(message: str = "expected 0, got 0.1") -> Report:
    checks = (
        check("test_radius_is_zero", False, True),
        check("test_no_attack", False, False, message, 1),
        check("test_secret", True, False, "the hidden input was 271828"),
    )
    graded = Submission(
        "ann",
        "ann.ipynb",
        6,
        9,
        (f"a cell has the unknown id {EVIL}\x1b[31m",),
        (Question("certified_radius", 2, 5, checks), Question("predict", 4, 4, (check("test_p", True, True, "", 4),))),
    )
    refused = Submission("bob", "bob.ipynb", 0, 9, ("the file is not JSON",), (Question("certified_radius", 0, 5), Question("predict", 0, 4)))
    return Report(SET, "edition", {"torch": "2.13.0"}, "fingerprint", 2, (graded, refused))


def require_specified(found: dict) -> None:
    """The rules of Gradescope's specification that a file can break."""
    assert set(found) <= TOP
    assert found["stdout_visibility"] in ("hidden", "after_due_date", "after_published", "visible")
    assert found["output_format"] == found["test_output_format"] == found["test_name_format"] == "text"
    for test in found["tests"]:
        assert set(test) <= TEST
        assert 0 <= test["score"] <= test["max_score"]
        assert test["status"] in ("passed", "failed")
        assert test["visibility"] in ("hidden", "after_due_date", "after_published", "visible")
        assert re.fullmatch(r"\d+(\.\d+)?", test["number"])
    assert found["score"] == sum(test["score"] for test in found["tests"])
    assert len({test["number"] for test in found["tests"]}) == len(found["tests"])
    assert "\x1b" not in json.dumps(found)


def test_results_follow_the_specification_and_show_of_a_hidden_check_its_statement():
    found = results(report(), report().submissions[0], seconds=1.5)
    require_specified(found)
    passed, failed, hidden, other = found["tests"]
    assert (passed["name"], passed["score"], passed["visibility"]) == ("certified_radius: radius is zero", 2, "visible")
    assert failed["output"].startswith("expected 0, got 0.1\n\ncohen-thm-1: ")
    assert (hidden["name"], hidden["score"], hidden["max_score"]) == ("certified_radius: hidden check of cohen-thm-1", 0, 2)
    assert hidden["output"] == f"cohen-thm-1: {statements()['cohen-thm-1']}"
    assert hidden["visibility"] == other["visibility"] == "after_due_date"
    assert found["execution_time"] == 1.5
    assert found["extra_data"] == {"set": SET, "edition": "edition", "secret_fingerprint": "fingerprint", "sandbox": 2, "versions": {"torch": "2.13.0"}}
    assert "271828" not in json.dumps(found)
    assert "secret" not in hidden["name"] + hidden["output"]


def test_what_students_wrote_stays_plain_text():
    """Gradescope renders html, md, simple_format and ansi only where a file asks for them."""
    found = results(report(f"got {EVIL}"), report().submissions[0])
    require_specified(found)
    assert EVIL in found["output"]


@pytest.mark.parametrize("hidden", gradescope.VISIBILITIES)
def test_when_students_see_hidden_checks_is_the_instructors_word(hidden):
    found = results(report(), report().submissions[0], hidden)
    assert [test["visibility"] for test in found["tests"]] == ["visible", "visible", hidden, hidden]


def test_an_unknown_visibility_is_refused(tmp_path):
    with pytest.raises(KitError, match="hidden must be one of visible, .* got 'later'"):
        results(report(), report().submissions[0], "later")
    with pytest.raises(KitError, match="hidden must be one of"):
        bundle(SET, tmp_path / "x.zip", SECRET, "later")


def test_what_could_not_be_read_has_its_points_and_none_of_them(tmp_path):
    paths = write_results(report(), tmp_path / "out", "visible")
    assert [path.name for path in paths] == ["ann.json", "bob.json"]
    found = json.loads(paths[1].read_text())
    require_specified(found)
    assert [(test["score"], test["max_score"]) for test in found["tests"]] == [(0, 5), (0, 4)]
    assert "the file is not JSON" in found["output"]
    (tmp_path / "file").write_text("")
    with pytest.raises(KitError, match="cannot be written"):
        write_results(report(), tmp_path / "file", "visible")


def test_the_student_is_the_group_whoever_submits(tmp_path):
    def student(text: str) -> str:
        (tmp_path / "m.json").write_text(text)
        return student_of(tmp_path / "m.json")

    one, two = {"email": "b@x.edu", "id": 1, "name": "B"}, {"email": "a@x.edu", "id": 2, "name": "A"}
    assert student(json.dumps({"users": [one, two]})) == student(json.dumps({"users": [two, one]})) == "a@x.edu,b@x.edu"
    assert student(json.dumps({"users": [{"email": "", "id": 7}]})) == "7"
    assert student_of(tmp_path / "none.json") == "submission"
    for text in ("", "[]", "{}", '{"users": [{}]}', '{"users": 3}'):
        with pytest.raises(KitError, match="does not name the submission's users"):
            student(text)


@pytest.fixture(scope="module")
def autograder_folder(tmp_path_factory) -> Path:
    """What Gradescope makes of the zip: /autograder/source, and run_autograder beside it."""
    place = tmp_path_factory.mktemp("gradescope") / "autograder"
    path = bundle(SET, place.parent / "gs.zip", SECRET)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            archive.extract(info, place / "source")
            (place / "source" / info.filename).chmod(info.external_attr >> 16 & 0o777)
    (place / "run_autograder").write_bytes((place / "source" / "run_autograder").read_bytes())
    (place / "run_autograder").chmod(0o755)
    return place


def test_the_zip_holds_what_is_needed_and_no_secret_of_the_course(autograder_folder, tmp_path):
    source = autograder_folder / "source"
    assert os.access(source / "run_autograder", os.X_OK)
    assert os.access(source / "setup.sh", os.X_OK)
    assert subprocess.run(["bash", "-n", source / "setup.sh"], check=False).returncode == 0
    assert (source / "secret.key").read_bytes() == set_key(SECRET, SET) != SECRET
    assert set_key(SECRET, "ps06") != set_key(SECRET, SET)
    assert stat.S_IMODE((source / "secret.key").stat().st_mode) == 0o600
    names = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
    assert {f"autograder/checks/{SET}/hidden.py", f"assignments/{SET}/{SET}.ipynb", "setup.cfg", "constraints.txt", "lib/backdoors/__init__.py"} <= names
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc") or name.startswith((".git", "tests", "build"))]
    assert all(SECRET not in (source / name).read_bytes() for name in names)
    again = bundle(SET, tmp_path / "again.zip", SECRET)
    assert again.read_bytes() == (autograder_folder.parent / "gs.zip").read_bytes()


def test_a_zip_that_cannot_be_made_is_one_sentence(tmp_path):
    with pytest.raises(KitError, match="unknown problem set 'ps99'"):
        bundle("ps99", tmp_path / "x.zip", SECRET)
    with pytest.raises(KitError, match="cannot write .*nowhere"):
        bundle(SET, tmp_path / "nowhere" / "x.zip", SECRET)
    assert not list(tmp_path.iterdir())


def run(place: Path, files: dict[str, bytes]) -> dict:
    """Runs run_autograder as Gradescope does, with this Python in place of the one that setup.sh makes."""
    for folder in ("submission", "results"):
        (place / folder).mkdir(exist_ok=True)
        for path in (place / folder).iterdir():
            path.unlink()
    for name, content in files.items():
        (place / "submission" / name).write_bytes(content)
    (place / "submission_metadata.json").write_text(json.dumps({"users": [{"email": "ann@x.edu", "id": 1, "name": "Ann"}]}))
    environment = {name: value for name, value in os.environ.items() if name != grading.SECRET_VARIABLE} | {"AUTOGRADER_PYTHON": sys.executable}
    done = subprocess.run([place / "run_autograder"], cwd=place, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"ann@x\.edu: \d+ of \d+, sandbox level [23]\n", done.stdout)
    return json.loads((place / "results" / "results.json").read_text())


def test_run_autograder_grades_with_the_key_in_the_zip(autograder_folder):
    most = sum(question.points for question in grading.exercises(SET))
    found = run(autograder_folder, {f"{SET}.ipynb": json.dumps(trials.solved(SET)).encode(), "scratch.ipynb": b"{}"})
    require_specified(found)
    assert found["score"] == most
    assert "also handed in, and not graded: scratch.ipynb" in found["output"]
    assert found["extra_data"]["secret_fingerprint"] == grading.fingerprint(set_key(SECRET, SET))
    assert {test["visibility"] for test in found["tests"]} == {"visible", "after_due_date"}


def test_run_autograder_says_what_cannot_be_graded(autograder_folder, monkeypatch, capsys):
    found = run(autograder_folder, {})
    require_specified(found)
    assert found["score"] == 0
    assert "nothing was handed in" in found["output"]
    monkeypatch.setenv(grading.SECRET_VARIABLE, "s" * 32)
    (autograder_folder / "submission" / "hw.pdf").write_bytes(b"")
    gradescope.run(SET, autograder_folder, "visible")  # as the zip does, here
    found = json.loads((autograder_folder / "results" / "results.json").read_text())
    require_specified(found)
    assert "hw.pdf, which is no notebook" in found["output"]
    assert capsys.readouterr().out.startswith("ann@x.edu: 0 of ")


def test_where_no_sandbox_holds_nothing_is_graded_and_instructors_read_why(autograder_folder, monkeypatch, capsys):
    monkeypatch.setattr(grading.sandbox, "probe", lambda *_: (0, "it is a test"))
    (autograder_folder / "submission").mkdir(exist_ok=True)
    (autograder_folder / "submission" / "hw.ipynb").write_bytes(json.dumps(trials.released(SET)).encode())
    monkeypatch.setenv(grading.SECRET_VARIABLE, "s" * 32)
    for path in (autograder_folder / "results").glob("*"):
        path.unlink()
    with pytest.raises(KitError, match="no sandbox of level 2 or more holds here"):
        gradescope.run(SET, autograder_folder, "visible")
    assert not list((autograder_folder / "results").glob("*.json"))
    assert ROOT not in autograder_folder.parents

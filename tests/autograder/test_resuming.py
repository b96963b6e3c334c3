"""What a run that was stopped, killed or finished leaves to the next one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from autograder import grading
from autograder.commands import main
from autograder.course import ROOT
from autograder.grading import Result
from autograder.reporting import Submission

SET = "ps05_smoothing"
SECRET = "a secret of these tests, of 32 bytes and more"


def test_a_run_that_is_killed_and_started_again_ends_as_if_nothing_had_happened():
    """SIGKILL of the group and of the process at random moments, then to the end; an undisturbed run with two workers gives the same bytes; nothing is left."""
    command = [sys.executable, str(ROOT / "tests" / "studies" / "kills.py"), "--kills", "2", "--students", "3"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "2 kills: the same 5 files"


@pytest.fixture
def judged(monkeypatch):
    """A stand-in for the judge; what it was given, in order. The sandbox is not asked for."""
    given = []

    def judge(task, secret, limits, level, root=ROOT):
        given.append(task.student)
        if task.content == b"broken":
            raise RuntimeError("a fault of the grader")
        score = len(task.content) % 7
        return Result(Submission(task.student, "", score, 9, (grading.fingerprint(secret),)), 0.5, {"a.check": 0.25})

    monkeypatch.setattr(grading, "judge", judge)
    monkeypatch.setattr(grading.sandbox, "require", lambda minimum, most=3: 3)
    monkeypatch.setenv(grading.SECRET_VARIABLE, SECRET)
    return given


def grade(*arguments, status=0):
    """What the command said on stderr, line by line."""
    done = CliRunner().invoke(main, ["grade", SET, *map(str, arguments)])
    assert done.exit_code == status, done.output
    return done.stderr.splitlines()


@pytest.fixture
def submitted(tmp_path):
    for student in ("ann", "bob", "cem"):
        (tmp_path / "submitted").mkdir(exist_ok=True)
        (tmp_path / "submitted" / f"{student}.ipynb").write_text(student)
    return tmp_path / "submitted"


def test_a_second_run_grades_only_what_is_new_and_says_so(judged, submitted, tmp_path):
    out = tmp_path / "out"
    assert grade(submitted, "--out", out) == []
    first = (out / "report.json").read_bytes()
    assert judged == ["ann", "bob", "cem"]
    assert grade(submitted, "--out", out) == [f"the results of 3 of 3 submissions lie in {out}/results and are used again"]
    assert (out / "report.json").read_bytes() == first
    assert json.loads((out / "timings.json").read_bytes())["ann"] == {"seconds": 0.5, "checks": {"a.check": 0.25}}
    (submitted / "bob.ipynb").write_text("more")
    (submitted / "dan.ipynb").write_text("new")
    assert grade(submitted, "--out", out) == [f"the results of 2 of 4 submissions lie in {out}/results and are used again"]
    grade(submitted, "--out", out, "--reseed", "cem")
    assert judged[3:] == ["bob", "dan", "cem"]


def test_where_a_submission_lies_is_no_part_of_its_result(judged, submitted, tmp_path):
    grade(submitted, "--out", tmp_path / "out")
    submitted.rename(tmp_path / "moved")
    grade(tmp_path / "moved", "--out", tmp_path / "out")
    assert judged == ["ann", "bob", "cem"]
    paths = [one["path"] for one in json.loads((tmp_path / "out" / "report.json").read_bytes())["submissions"]]
    assert paths == [str(tmp_path / "moved" / f"{student}.ipynb") for student in ("ann", "bob", "cem")]


def test_what_failed_and_what_cannot_be_read_is_reported_and_tried_again(judged, submitted, tmp_path):
    out = tmp_path / "out"
    (submitted / "bob.ipynb").write_text("broken")
    (submitted / "cem.ipynb").unlink()
    (submitted / "cem.ipynb").symlink_to(submitted / "ann.ipynb")
    reason = "the grader failed on this submission, and a person must look at it: a fault of the grader"
    assert grade(submitted, "--out", out)[-1] == f"bob: {reason}"
    by = {one["student"]: one for one in json.loads((out / "report.json").read_bytes())["submissions"]}
    assert by["ann"]["score"] == 3
    assert (by["bob"]["score"], by["bob"]["flags"]) == (0, [reason])
    assert "is a link" in by["cem"]["flags"][0]
    assert len(list((out / "results").iterdir())) == 1
    grade(submitted, "--out", out)
    assert judged == ["ann", "bob", "bob"]


def test_another_secret_grades_anew_and_warns(judged, submitted, tmp_path, monkeypatch):
    out = tmp_path / "out"
    grade(submitted, "--out", out)
    old = grading.fingerprint(SECRET.encode())
    monkeypatch.setenv(grading.SECRET_VARIABLE, f"hex:{bytes(32).hex()}")
    new = grading.fingerprint(bytes(32))
    (warning,) = grade(submitted, "--out", out)
    assert warning.startswith(f"warning: the report in {out} rests on another secret (fingerprint {old}, now {new})")
    assert judged == ["ann", "bob", "cem"] * 2
    assert all(one["flags"] == [new] for one in json.loads((out / "report.json").read_bytes())["submissions"])


def test_a_course_of_nbgrader_is_graded_into_the_store_that_nbgrader_reads(judged, tmp_path):
    course = tmp_path / "course"
    for student in ("ann", "bob"):
        folder = course / "submitted" / student / SET
        folder.mkdir(parents=True)
        (folder / f"{SET}.ipynb").write_text(student)
        (folder / "notes.ipynb").write_text("of no concern")
        (course / "submitted" / student / "ps04").mkdir()
        (course / "submitted" / student / "ps04" / "ps04.ipynb").write_text("another set")
    grade("--course", course)
    assert judged == ["ann", "bob"]
    report = json.loads((course / "reports" / SET / "report.json").read_bytes())
    assert [one["student"] for one in report["submissions"]] == ["ann", "bob"]
    notebook = course / "submitted" / "ann" / SET / f"{SET}.ipynb"
    one = grading.grade(SET, notebook, "ann", store=course / "results" / SET)
    assert judged == ["ann", "bob"]
    assert (one.submissions[0].score, one.submissions[0].path) == (3, str(notebook))
    assert grade("--course", course, "--out", tmp_path / "elsewhere") == [f"the results of 2 of 2 submissions lie in {course}/results/{SET} and are used again"]
    assert (tmp_path / "elsewhere" / "report.json").is_file()


def test_one_notebook_is_stored_too_and_under_its_own_name(judged, submitted, tmp_path):
    for student in ("zoe", "zoe", "yan"):
        grade(submitted / "ann.ipynb", "--student", student, "--out", tmp_path / "out")
    assert judged == ["zoe", "yan"]


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--out", "out"], "name at least one PATH and a folder with --out, or the course folder of nbgrader with --course"),
        (["submitted"], "name at least one PATH and a folder with --out"),
        (["submitted", "--course", "."], "--course . says what is graded; leave submitted out"),
        (["--course", "."], f"there is no submission of {SET} in submitted, where nbgrader keeps them as STUDENT/{SET}"),
        (["submitted", "--out", "out", "--workers", "2", "--scheduler", "tls://a:1"], "give one of the two"),
        (["submitted", "--out", "out", "--workers", "2", "--student", "ann"], "leave out --workers and --scheduler"),
        (["submitted", "--out", "out", "--scheduler", "a:1"], "the scheduler 'a:1' is not reached by tls://"),
    ],
)
def test_options_that_do_not_go_together_are_told(judged, submitted, monkeypatch, arguments, words):
    monkeypatch.chdir(submitted.parent)
    (message,) = grade(*arguments, status=2)
    assert words in message
    assert judged == []


def test_a_cluster_grades_at_the_level_that_is_asked_for_and_by_default_at_the_strongest(judged, submitted, monkeypatch):
    levels = []

    def run(tasks, basis, *_):
        levels.append(basis.level)
        return iter([])

    monkeypatch.setattr("autograder.scheduling.run", run)
    for more in ([], ["--min-sandbox", "2"], ["--unsandboxed"]):
        CliRunner().invoke(main, ["grade", SET, str(submitted), "--out", str(Path(submitted.parent, "out")), "--scheduler", "tls://127.0.0.1:1", *more])
    assert levels == [3, 2, 0]

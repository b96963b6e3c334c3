"""The grader on the real set: whole submissions through the real sandbox."""

import json
import stat
import subprocess
import sys
import threading
import time
from dataclasses import replace
from itertools import count

import nbformat
import psutil
import pytest

import autograder
from autograder import grading, trials
from autograder.challenging import Adversary, Clock
from autograder.course import ROOT, exercises
from autograder.engine import warm
from autograder.errors import KitError
from autograder.protocol import Starved, StudentError, StudentTimeout
from autograder.sandbox import Limits

SET = "ps05_smoothing"
SECRET = b"a secret of the tests"
QUICK = Limits(cpu=120, check_cpu=12, cell_cpu=5)  # the check of certify alone takes 3 s
BOUND = """
def lower_confidence_bound(successes, trials, alpha):
    {}
"""


def grade(notebook, student="ann", **options):
    return autograder.grade(SET, notebook, student, **({"secret": SECRET, "limits": QUICK} | options)).submissions[0]


def scores(submission):
    return {question.name: (question.score, question.max_score) for question in submission.questions}


def lost(submission):
    return {question.name for question in submission.questions if question.score < question.max_score}


@pytest.fixture(scope="module")
def perfect():
    return grade(trials.solved(SET))


def test_the_solved_notebook_keeps_every_point(perfect):
    assert perfect.score == perfect.max_score == sum(one.points for one in exercises(SET))
    assert perfect.flags == ()
    assert all(check.passed and check.message == "" for question in perfect.questions for check in question.checks)


def test_the_released_notebook_earns_nothing():
    blank = grade(trials.released(SET))
    assert blank.score == 0
    assert all(not check.passed for question in blank.questions for check in question.checks)


def test_a_mistake_costs_its_own_exercise_only():
    submission = grade(trials.submission(SET, BOUND.format("return 0.5")))
    assert lost(submission) == {"lower_confidence_bound"}
    assert any("certify was checked with the reference's lower_confidence_bound" in flag for flag in submission.flags)


def test_a_public_check_tells_its_counterexample():
    submission = grade(trials.submission(SET, BOUND.format("return successes / trials")))
    question = next(question for question in submission.questions if question.name == "lower_confidence_bound")
    assert any(character.isdigit() for check in question.checks if not check.hidden for character in check.message)


@pytest.mark.parametrize(
    "body, words",
    [
        ("import os; os._exit(0)", "the process ended by leaving the process"),
        ("while True: pass", "took more than 12 s of CPU time"),
        ("import ctypes; ctypes.string_at(0)", "the process ended by a crash"),
    ],
)
def test_a_dead_or_stuck_process_costs_its_own_exercise(body, words):
    submission = grade(trials.submission(SET, BOUND.format(body)))
    assert lost(submission) == {"lower_confidence_bound"}
    checks = submission.questions[0].checks
    assert words in checks[0].message
    assert all(check.message.startswith("not run: an earlier check") for check in checks[1:])


def test_a_cell_that_ends_the_process_is_left_out_of_a_fresh_one():
    submission = grade(trials.submission(SET, BOUND.format("return 0.0") + "import os\nos._exit(3)"))
    assert lost(submission) == {"lower_confidence_bound"}
    assert any(flag.startswith("the cell lower_confidence_bound was left out: the process ended") for flag in submission.flags)
    assert "in its cell: the process ended" in submission.questions[0].checks[0].message


def test_a_cell_that_raises_is_named_where_its_function_is_missed():
    submission = grade(trials.submission(SET, "lower_confidence_bound = undefined_name"))
    assert "in its cell: NameError: name 'undefined_name' is not defined" in submission.questions[0].checks[0].message


def test_the_same_submission_gets_the_same_grade_and_another_student_other_inputs(perfect):
    wrong = trials.submission(SET, BOUND.format("return successes / trials"))
    first, again, other = grade(wrong), grade(wrong), grade(wrong, "bob")
    assert first == again
    messages = [[check.message for question in one.questions for check in question.checks] for one in (first, other, grade(wrong, reseed=1))]
    assert messages[0] != messages[1]
    assert messages[0] != messages[2]


def test_reports_say_what_a_grade_rests_on(perfect):
    report = autograder.grade(SET, trials.released(SET), "ann", secret=SECRET, limits=QUICK)
    assert report.secret_fingerprint == grading.fingerprint(SECRET) != grading.fingerprint(b"another")
    assert report.sandbox == 3
    assert report.versions["torch"]
    assert SECRET.hex() not in json.dumps(report.to_json())


def test_a_class_goes_on_past_what_cannot_be_read(tmp_path):
    nbformat.write(trials.released(SET), tmp_path / "ann.ipynb")
    (tmp_path / "bob.ipynb").write_text("this is not JSON")
    (tmp_path / "cem.ipynb").write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}))
    report, times = grading.grade_paths(SET, [tmp_path], secret=SECRET, limits=QUICK)
    by = {one.student: one for one in report.submissions}
    assert list(by) == ["ann", "bob", "cem"] == list(times)
    assert "not JSON" in by["bob"].flags[0]
    assert by["cem"].flags
    assert {one.max_score for one in by.values()} == {by["ann"].max_score}


def test_reseeding_a_student_who_handed_nothing_in_is_an_error(tmp_path):
    nbformat.write(trials.released(SET), tmp_path / "ann.ipynb")
    with pytest.raises(KitError, match="reseed names zoe, of whom there is no submission; there are ann"):
        grading.grade_paths(SET, [tmp_path], secret=SECRET, reseed=["zoe"])


def test_an_unknown_set_names_the_known_ones():
    with pytest.raises(KitError, match=f"unknown problem set 'ps99'.*{SET}"):
        autograder.grade("ps99", trials.released(SET))


def test_the_secret_is_made_once_and_kept_private(tmp_path, monkeypatch):
    monkeypatch.delenv(grading.SECRET_VARIABLE, raising=False)
    made = grading.course_secret(tmp_path)
    assert len(made) == 32
    assert grading.course_secret(tmp_path) == made
    assert stat.S_IMODE((tmp_path / grading.SECRET_FILE).stat().st_mode) == 0o600
    monkeypatch.setenv(grading.SECRET_VARIABLE, "from the environment" * 2)
    assert grading.course_secret(tmp_path) == b"from the environment" * 2
    monkeypatch.setenv(grading.SECRET_VARIABLE, "short")
    with pytest.raises(KitError, match="holds 5 bytes, and a secret has at least 32"):
        grading.course_secret(tmp_path)


def test_a_damaged_secret_is_not_replaced(tmp_path, monkeypatch):
    monkeypatch.delenv(grading.SECRET_VARIABLE, raising=False)
    (tmp_path / grading.SECRET_FILE).write_bytes(b"short")
    with pytest.raises(KitError, match="holds 5 bytes"):
        grading.course_secret(tmp_path)


def test_the_limit_of_a_whole_submission_holds():
    looping = trials.solved(SET)
    for cell in looping.cells:
        if cell.metadata.get("nbgrader", {}).get("solution") and cell.cell_type == "code":
            cell.source += "\nwhile True: pass"
    submission = grade(looping, limits=replace(QUICK, cpu=8, cell_cpu=2))
    assert submission.score == 0
    assert any("used up one of its limits: 8 s of CPU time" in check.message for question in submission.questions for check in question.checks)


def test_a_submission_that_sleeps_reaches_its_limit_of_time():
    asleep = trials.submission(SET, BOUND.format("import time; time.sleep(1e9)"))
    started = time.monotonic()
    submission = grade(asleep, limits=replace(QUICK, wall=15))
    assert time.monotonic() - started < 60
    assert submission.score == 0
    assert submission.questions[0].checks[0].message.startswith("the submission reached its limit of time")


@pytest.mark.parametrize("level", [3, 2])
def test_a_process_that_died_before_its_submission_came_costs_nothing(level):
    """While one submission is graded, the process of the next one is made."""
    wrong = trials.submission(SET, BOUND.format("return 0.5"))
    before = grade(wrong, max_sandbox=level)
    (engine,) = (engine for key, engine in grading._engines.items() if key[0] == SET and key[2] == level)
    leaves = [one for one in psutil.Process(engine.process.pid).children(recursive=True) if not one.children()]
    assert len(leaves) == 1
    leaves[0].kill()
    leaves[0].wait()
    assert grade(wrong, max_sandbox=level) == before


@pytest.mark.parametrize("options", [[], ["--sandbox"]])
def test_the_reference_passes_its_checks_on_the_command_line(options):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"autograder/checks/{SET}", "--submission", "reference", *options],
        cwd=grading.ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_a_wrong_submission_option_is_explained():
    command = [sys.executable, "-m", "pytest", f"autograder/checks/{SET}", "--submission", "nowhere.py"]
    done = subprocess.run(command, cwd=grading.ROOT, capture_output=True, text=True)
    assert "--submission must be 'reference' or an existing .py or .ipynb file, got 'nowhere.py'" in done.stdout + done.stderr


def test_a_challenger_that_dies_gives_no_grade_and_the_next_submission_is_graded(perfect):
    """As when the machine is out of memory: nobody's fault that can be told, so a person hears of it, and a run of a class tries again."""
    slow = trials.submission(SET, BOUND.format("__import__('time').sleep(100)"))
    failed = []

    def judged():
        with pytest.raises(KitError, match="the grader's own process ended while it graded this submission"):
            grade(slow)
        failed.append(True)

    solved = trials.solved(SET)
    assert grade(solved) == perfect
    (engine,) = (engine for key, engine in grading._engines.items() if key[0] == SET and key[2] == 3)
    own = psutil.Process(engine.process.pid)
    thread = threading.Thread(target=judged)
    thread.start()
    until, challengers = time.monotonic() + 60, []
    while not challengers and time.monotonic() < until:
        time.sleep(0.1)
        challengers = [one for one in own.children() if one.cmdline() == own.cmdline()]
    time.sleep(1)
    challengers[0].kill()
    thread.join(60)
    assert failed == [True]
    assert grade(solved) == perfect


def test_a_cell_that_the_machine_starved_is_tried_once_more(monkeypatch):
    check, starved = Clock.check, []

    def starve(clock):
        if clock.what == "the cell second" and len(starved) < times:
            starved.append(clock.what)
            raise Starved("the second cell did not answer")
        check(clock)

    monkeypatch.setattr(Clock, "check", starve)
    sources = ("a = 1", "import time; time.sleep(0.5); b = 2", "c = 3\ndef total():\n    return [a, globals().get('b'), c]")
    cells = [{"source": source, "kind": "added", "name": name} for source, name in zip(sources, ("first", "second", "third"), strict=True)]
    for times, total in ((1, [1, 2, 3]), (2, [1, None, 3])):
        starved.clear()
        adversary = Adversary(cells, warm(SET, ROOT, 3).fork, Limits(), 0)
        adversary.begin("an exercise")
        assert adversary.call("total") == total
        adversary.finish()
        adversary.close()
        assert adversary.flags == ([] if times == 1 else ["the cell second was left out: the second cell did not answer"])


def test_a_check_that_overruns_in_the_grader_s_own_code_ends_its_exercise_only():
    adversary = Adversary([], warm(SET, ROOT, 3).fork, Limits(check_cpu=1), 0)
    adversary.begin("first")
    until = time.process_time() + 30
    with pytest.raises(StudentTimeout, match="it made the grader itself work for more than 3 s"):
        all(time.process_time() < until for _ in count())
    adversary.finish()
    with pytest.raises(StudentError, match="not run: an earlier check of first ended with: it made the grader itself work for more than 3 s"):
        adversary.begin("first")
    adversary.begin("second")
    adversary.finish()
    adversary.close()

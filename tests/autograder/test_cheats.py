"""Every attack of tests/cheats gets the grade that is right, in the real sandbox."""

import re
from pathlib import Path

import pytest

from autograder import grading, sandbox, trials
from autograder.course import exercises
from autograder.sandbox import Limits

CHEATS = sorted((Path(__file__).parents[1] / "cheats").glob("*/*.py"))
LIMITS = Limits(cpu=60, check_cpu=4, cell_cpu=6)


def said(text: str, key: str) -> str:
    """What the comment `# key: ...` of a cheat says."""
    found = re.search(rf"^# {key}: (.+)$", text, re.MULTILINE)
    return found[1] if found else ""


def notebook_of(cheat: Path, text: str):
    """The released notebook with the cheat in the solution cell of its exercise, or as its `edit` leaves it."""
    problem_set = cheat.parent.name
    if said(text, "edit"):
        namespace = {}
        exec(compile(text, str(cheat), "exec"), namespace)
        notebook = trials.released(problem_set)
        namespace["edit"](notebook)
        return notebook
    return trials.submission(problem_set, text, base="released")


@pytest.mark.parametrize("cheat", CHEATS, ids=lambda path: path.stem)
def test_an_attack_gains_no_point(cheat):
    text, problem_set = cheat.read_text(encoding="utf-8"), cheat.parent.name
    assert str(sandbox.require(2)) in said(text, "levels").split()
    points = {one.name: one.points for one in exercises(problem_set)}
    earned = said(text, "grade").split()
    report = grading.grade(problem_set, notebook_of(cheat, text), cheat.stem, secret=b"cheats", limits=LIMITS)
    (submission,) = report.submissions
    assert {q.name: q.score for q in submission.questions} == {name: points[name] if name in earned else 0 for name in points}
    assert submission.max_score == sum(points.values())


def test_there_are_a_dozen_attacks_that_say_what_they_do():
    assert len(CHEATS) >= 12
    for cheat in CHEATS:
        text = cheat.read_text(encoding="utf-8")
        assert text.startswith("# ")
        assert said(text, "levels")
        assert said(text, "exercise") or said(text, "edit")

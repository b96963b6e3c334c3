"""Every attack of tests/cheats gets the grade that is right, in the real sandbox, at every level at which it must hold."""

import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from autograder import grading, sandbox, trials
from autograder.course import exercises
from autograder.sandbox import Limits

FOLDER = Path(__file__).parents[1] / "cheats"
CHEATS = sorted(FOLDER.glob("*/*.py"))
LIMITS = Limits(cpu=40, check_cpu=3, cell_cpu=4, wall=100)


def said(text: str, key: str) -> str:
    """What the comment `# key: ...` of a cheat says."""
    found = re.search(rf"^# {key}: (.+)$", text, re.MULTILINE)
    return found[1] if found else ""


@cache
def points_of(problem_set: str) -> dict[str, int]:
    """Points by exercise."""
    return {one.name: one.points for one in exercises(problem_set)}


def limits_of(text: str) -> Limits:
    """LIMITS, but for what `# limits: name=number ...` says."""
    return replace(LIMITS, **{name: int(number) for name, number in (pair.split("=") for pair in said(text, "limits").split())})


def right_grade(text: str, problem_set: str) -> dict[str, int]:
    """Points by exercise: those that `# grade: name name=points ...` names, or all of them, and 0 for the others."""
    points = points_of(problem_set)
    if said(text, "grade") == "all":
        return points
    earned = dict(pair.partition("=")[::2] for pair in said(text, "grade").split())
    assert set(earned) <= set(points)
    return {name: int(earned[name] or most) if name in earned else 0 for name, most in points.items()}


def notebook_of(cheat: Path, text: str):
    """The released notebook (or, where `# base: solved` says so, the solved one) with the cheat in its cell, or as its `edit` leaves it."""
    problem_set, base = cheat.parent.name, said(text, "base") or "released"
    if said(text, "edit"):
        namespace = {}
        exec(compile(text, str(cheat), "exec"), namespace)
        notebook = {"released": trials.released, "solved": trials.solved}[base](problem_set)
        namespace["edit"](notebook)
        return notebook
    return trials.submission(problem_set, text, base=base)


def at_every_level() -> list:
    """A case for every attack and level; those of one level share a worker, and so its engine."""
    return [
        pytest.param(cheat, int(level), id=f"{cheat.stem}-{level}", marks=pytest.mark.xdist_group(f"cheats at level {level}"))
        for level in "32"
        for cheat in CHEATS
        if level in said(cheat.read_text(encoding="utf-8"), "levels").split()
    ]


@pytest.mark.parametrize(("cheat", "level"), at_every_level())
def test_an_attack_gains_no_point(cheat, level):
    found, why = sandbox.probe(level)
    if found != level:
        pytest.skip(f"level {level} does not hold here: {why}")
    text, problem_set = cheat.read_text(encoding="utf-8"), cheat.parent.name
    right = right_grade(text, problem_set)
    report = grading.grade(problem_set, notebook_of(cheat, text), cheat.stem, secret=b"cheats", limits=limits_of(text), max_sandbox=level)
    (submission,) = report.submissions
    assert report.sandbox == level
    assert {question.name: question.score for question in submission.questions} == right
    assert submission.max_score == sum(points_of(problem_set).values())


@pytest.mark.xdist_group("cheats at level 3")
def test_no_input_of_a_hidden_check_is_told():
    cheat = FOLDER / "ps05_smoothing" / "told_hidden_inputs.py"
    notebook = notebook_of(cheat, cheat.read_text(encoding="utf-8"))
    report = grading.grade("ps05_smoothing", notebook, cheat.stem, secret=b"cheats", limits=LIMITS)
    predict = next(question for question in report.submissions[0].questions if question.name == "predict")
    seen = {check.hidden: int(re.search(r"seen (\d+)", check.message)[1]) for check in predict.checks}
    assert seen[False] == 1
    assert seen[True] > 1  # what hidden checks said is for the instructor


def test_some_level_holds_here():
    assert sandbox.require(2) >= 2


def test_there_are_sixty_attacks_that_say_what_they_do():
    assert len(CHEATS) >= 62
    for cheat in CHEATS:
        text = cheat.read_text(encoding="utf-8")
        assert text.startswith("# ")
        assert said(text, "levels") in ("3 2", "3", "2")
        assert said(text, "exercise") or said(text, "edit")
        assert right_grade(text, cheat.parent.name)


def test_the_table_lists_every_attack_in_its_own_words():
    rows = re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \|$", (FOLDER / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    first_lines = {cheat.stem: cheat.read_text(encoding="utf-8").partition("\n")[0] for cheat in CHEATS}
    assert len(rows) == len(CHEATS)
    assert {name: f"# {tries}" for name, tries, _ in rows} == first_lines

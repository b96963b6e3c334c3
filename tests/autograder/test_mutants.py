"""Every hand-written mistake loses points of its exercise, and every honest variant keeps all, whatever the inputs: `--secrets 3` draws them three times."""

import ast
import re
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from autograder import course, declarations, grading, trials
from autograder.course import ROOT, sets
from autograder.plugin import Plugin, run
from autograder.protocol import End

TESTS = Path(__file__).parents[1]
MUTANTS = sorted((TESTS / "mutants").glob("*/*.py"))
VARIANTS = sorted((TESTS / "variants").glob("*/*.py"))


@pytest.fixture
def secrets(request) -> list[str]:
    return [f"secret {number}" for number in range(request.config.getoption("--secrets"))]


exercises = cache(course.exercises)  # reads and links a whole manuscript


@cache
def opened(file: Path) -> End:
    """The solved notebook with the file's code in it, run in this process."""
    return trials.in_process(file.parent.name, trials.submission(file.parent.name, file.read_text(encoding="utf-8")))


class UntilOneFails(Plugin):
    """A plugin that runs no more checks once one has failed."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        done = yield
        if self.failed:
            item.session.shouldfail = "one is enough"
        return done


def failures(file: Path, secret: str, only: str, checks: Path) -> dict[str, str]:
    """The first check of one exercise that the file's code fails, and what it says."""
    problem_set = file.parent.name
    plugin = UntilOneFails(lambda _: opened(file), secret.encode(), only=only, references=grading.references(problem_set))
    run([checks], plugin)
    assert plugin.results[only]
    return {result.name: result.message for result in plugin.results[only] if not result.passed}


def mistaken_exercise(mutant: Path) -> str:
    """The exercise that a mutant's first line names: `# predict: never abstains`."""
    first = mutant.read_text(encoding="utf-8").splitlines()[0]
    found = re.fullmatch(r"# (\w+): \S.*", first)
    assert found, f"the first line of {mutant} must be '# exercise: the mistake', it is {first!r}"
    return found[1]


def changed_exercises(file: Path) -> list[str]:
    """The exercises that a file defines, in notebook order."""
    defined = {node.name for node in ast.parse(file.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)}
    return [exercise.name for exercise in exercises(file.parent.name) if exercise.name in defined]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_mistake_loses_points_of_its_exercise(mutant, secrets):
    exercise = mistaken_exercise(mutant)
    assert changed_exercises(mutant) == [exercise]
    for secret in secrets:
        checks = grading.check_files(mutant.parent.name)  # public ones first: where they catch it, the hidden ones need not run
        lost = next((lost for file in checks if (lost := failures(mutant, secret, exercise, file))), {})
        assert lost, f"the secret {secret!r} lets this mistake pass"
        assert not any("the check itself is at fault" in message for message in lost.values()), lost


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_an_honest_variant_keeps_all_points(variant, secrets):
    changed = changed_exercises(variant)
    assert changed
    for secret in secrets:
        for exercise in changed:
            for file in grading.check_files(variant.parent.name):
                assert failures(variant, secret, exercise, file) == {}, f"{exercise}, secret {secret!r}"


@pytest.mark.parametrize("problem_set", sets())
def test_every_exercise_has_mistakes_and_every_set_has_variants(problem_set):
    mistaken = {mistaken_exercise(mutant) for mutant in MUTANTS if mutant.parent.name == problem_set}
    assert mistaken == {exercise.name for exercise in exercises(problem_set)}
    assert len([variant for variant in VARIANTS if variant.parent.name == problem_set]) >= 4


@pytest.mark.parametrize("problem_set", sets())
def test_every_exercise_has_a_public_and_a_hidden_check(problem_set):
    wanted = {(exercise.name, hidden) for exercise in exercises(problem_set) for hidden in (False, True)}
    assert {(check.exercise, check.hidden) for check in declarations.checks(problem_set, ROOT)} == wanted


@pytest.mark.parametrize("problem_set", sets())
def test_a_correct_submission_fails_with_probability_at_most_a_millionth(problem_set):
    modules = [import_module(f"autograder.checks.{problem_set}.{file}") for file in ("public", "hidden")]
    marks = [mark for module in modules for check in vars(module).values() for mark in getattr(check, "pytestmark", ()) if mark.name == "exercise"]
    assert len(marks) == len(declarations.checks(problem_set, ROOT))
    assert sum(mark.kwargs["false_fail"] for mark in marks) <= 1e-6

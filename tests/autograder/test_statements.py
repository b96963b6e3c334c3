"""The ledger on a tiny course, and the real course's ids."""

import pytest

from autograder import building, declarations, statements
from autograder.errors import KitError


def test_the_ledger_finds_every_place_of_a_statement(course):
    first, second = statements.ledger(course.root)
    assert first == statements.Entry(
        id="tiny-thm-1",
        source="Tiny, Thm 1",
        statement="twice is a sum",
        implemented=("backdoors.numbers.double", "backdoors.numbers.pair"),
        tests=("tests/lib/test_numbers.py::test_double",),
        checks=(
            "autograder/checks/ps01_tiny/public.py::test_double_is_a_sum",
            "autograder/checks/ps01_tiny/public.py::test_pair_holds_the_double",
        ),
        exercises=("ps01_tiny/double", "ps01_tiny/pair"),
    )
    assert second.statement == 'pairs "add up"'
    assert second.tests == ("tests/lib/test_numbers.py::test_double", "tests/lib/test_numbers.py::TestPair::test_first")
    assert second.exercises == ("ps01_tiny/pair", "ps02_tiny/tripled")
    assert first.complete
    assert second.complete


def test_a_statement_without_a_test_is_not_complete(course):
    course.edit("tests/lib/test_numbers.py", '"tiny-thm-1", "tiny-thm-2"', '"tiny-thm-2"')
    assert [entry.complete for entry in statements.ledger(course.root)] == [False, True]


def test_modules_classes_and_methods_may_cite_and_private_ones_do_not(course):
    course.add(
        "lib/backdoors/tools.py",
        '''

        class Counter:
            """Counts. Statement: tiny-thm-1."""

            def count(self):
                """One more.

                Statement: tiny-thm-1,
                tiny-thm-2.
                """

            def _reset(self):
                """Statement: nothing-at-all."""
        ''',
    )
    course.edit("lib/backdoors/tools.py", '"""What exercises stand on."""', '"""What exercises stand on. Statement: tiny-thm-2."""')
    first, second = statements.ledger(course.root)
    assert first.implemented[2:] == ("backdoors.tools.Counter", "backdoors.tools.Counter.count")
    assert second.implemented[1:] == ("backdoors.tools", "backdoors.tools.tripled", "backdoors.tools.Counter.count")


@pytest.mark.parametrize(
    "path, old, new, message",
    [
        ("lib/backdoors/tools.py", "tiny-thm-2.", "tiny-thm-9.", "backdoors.tools.tripled names the statement 'tiny-thm-9'"),
        ("lib/backdoors/tools.py", "tiny-thm-2.", "tiny-thm-2", "docstring of backdoors.tools.tripled must end with its statements"),
        ("lib/backdoors/tools.py", "tiny-thm-2.", "tiny-thm-2. And more.", "docstring of backdoors.tools.tripled must end with its statements"),
        ("tests/lib/test_numbers.py", '"tiny-thm-1", "tiny-thm-2"', '"tiny-thm-9"', "test_numbers.py::test_double names the statement 'tiny-thm-9'"),
        ("autograder/checks/ps01_tiny/hidden.py", "tiny-thm-2", "tiny-thm-9", "hidden.py::test_pair_shifts names the statement 'tiny-thm-9'"),
        ("autograder/statements.tsv", "tiny-thm-2", "tiny-thm-1", "lists the statement 'tiny-thm-1' twice"),
    ],
)
def test_an_unknown_or_misplaced_statement_is_an_error_that_names_its_place(course, path, old, new, message):
    course.edit(path, old, new)
    with pytest.raises(KitError, match=message):
        statements.ledger(course.root)


def test_the_list_of_statements_must_be_there(course):
    (course.root / "autograder/statements.tsv").unlink()
    with pytest.raises(KitError, match="cannot read the list of statements"):
        statements.ledger(course.root)


def test_every_id_that_this_course_names_is_listed():
    entries = statements.ledger()
    assert {entry.id for entry in entries} == set(declarations.statements(building.ROOT))


def test_every_exercise_of_this_course_teaches_a_statement():
    taught = {exercise for entry in statements.ledger() for exercise in entry.exercises}
    assert taught == {f"{name}/{exercise.name}" for name in building.sets() for exercise in building.exercises(name)}

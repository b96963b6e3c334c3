"""The pytest plugin behind every run of checks: in a notebook, in the grader and on the command line."""

import math
import os
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import pytest

from autograder.checking import Challenger, CheckResult, seed_key
from autograder.errors import KitError
from autograder.protocol import BIND, End, Starved, StudentError, clean

ARGUMENTS = ["--capture=no", "--assert=plain", "--noconftest", "--import-mode=importlib", "-c", os.devnull, "-o", "python_files=public.py hidden.py"]
MOST_LENT = 10**8
VARIABLES = (  # of the environment, that change what pytest does: with CI set it words the difference of two long lists for a minute
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD",
    "PYTEST_ADDOPTS",
    "PYTEST_PLUGINS",
    "PYTEST_CURRENT_TEST",
    "CI",
    "BUILD_NUMBER",
)
WITHOUT = ("cacheprovider", "terminal", "logging", "warnings", "faulthandler", "doctest", "junitxml", "stepwise", "unraisableexception", "threadexception")


class Student:
    """The functions of one submission: `student.certified_radius(0.9, 1.0)` calls behind the pipe."""

    def __init__(self, end: End):
        self._end = end

    def __getattr__(self, name: str):
        return partial(self._end.call, name)


class Plugin:
    """Collects the checks, hands them `student`, `challenger` and `reference`, and keeps what they said in `results`.

    Args:
        join: gives the challenger's end of the pipe for a problem set; called once for every set.
        secret, student: seed the inputs of the checks.
        only: the one exercise to check, or all.
        references: the library's functions by name; hidden checks and exercises whose forerunner failed use them.
        uses: which earlier exercises an exercise calls, directly or not.
    """

    def __init__(
        self,
        join: Callable[[str], End],
        secret: bytes,
        student: str = "",
        only: str | None = None,
        references: dict[str, Callable] | None = None,
        uses: dict[str, Iterable[str]] | None = None,
    ):
        self.join, self.secret, self.student_id, self.only = join, secret, student, only
        self.references, self.uses = references or {}, uses or {}
        self.results: dict[str, list[CheckResult]] = {}
        self.exercises: dict[str, None] = {}
        self.failed: set[str] = set()
        self.substituted: dict[str, tuple[str, ...]] = {}  # exercise -> earlier ones that the reference stood in for
        self._ends: dict[str, End] = {}
        self._bound: set[str] = set()  # problem sets in which names of the notebook have been bound to something else

    # collection

    @pytest.hookimpl
    def pytest_configure(self, config):
        config.addinivalue_line("markers", "exercise(name, points, false_fail): what a check judges")
        config.addinivalue_line("markers", "statement(id): what it verifies")

    @pytest.hookimpl
    def pytest_collection_modifyitems(self, items):
        checks = [item for item in items if item.get_closest_marker("exercise")]
        first = {}
        for item in checks:
            first.setdefault((_set(item), exercise_of(item)), len(first))
        self.exercises = dict.fromkeys(name for _, name in first)
        order = list(self.uses)  # notebook order, where the caller knows it
        checks.sort(key=lambda item: (_set(item), order.index(name) if (name := exercise_of(item)) in order else len(order), first[_set(item), name]))
        items[:] = [item for item in checks if self.only in (None, exercise_of(item))]

    # fixtures

    @pytest.fixture
    def student(self, request) -> Student:
        """The student's functions."""
        item = request.node
        return Student(self.enter(_set(item), exercise_of(item)))

    @pytest.fixture
    def challenger(self, request) -> Challenger:
        """The challenger of this check."""
        return self.challenge(request.node)

    @pytest.fixture
    def reference(self, request) -> "Reference":
        """The library's functions, for hidden checks."""
        return Reference(self.references)

    def challenge(self, item) -> Challenger:
        """A challenger that draws the inputs of this student and this check."""
        key = seed_key(self.secret, self.student_id, _set(item), f"{item.path.stem}.{item.name}")
        return Challenger(key, item.get_closest_marker("exercise").kwargs["false_fail"])

    @pytest.hookimpl
    def pytest_pyfunc_call(self, pyfuncitem):
        """Runs the check; where the machine starved the student's process, once more from the start."""
        try:
            pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames})
        except Starved:
            self.again(pyfuncitem)
        return True

    def again(self, item, end: End | None = None) -> None:
        """Runs a check from the start, on the functions behind `end` or, without one, on those that it was run on."""
        fixtures = {
            "student": lambda: Student(self.enter(_set(item), exercise_of(item), end)),
            "challenger": lambda: self.challenge(item),
            "reference": lambda: Reference(self.references),
        }
        item.obj(**{name: fixtures[name]() for name in item._fixtureinfo.argnames})

    def enter(self, problem_set: str, exercise: str, end: End | None = None) -> End:
        """The end of the pipe for a check of `exercise`: where an earlier exercise that it calls has failed, the reference stands in for it."""
        if end is None:
            if problem_set not in self._ends:
                self._ends[problem_set] = self.join(problem_set)
            end = self._ends[problem_set]
        end.begin(exercise)
        end.given.clear()
        names = tuple(name for name in self.uses.get(exercise, ()) if name in self.failed and name in self.references)
        if names or problem_set in self._bound:
            self._bound.add(problem_set)
            end.call(BIND, {name: lent(self.references[name]) for name in names})
        if names:
            self.substituted[exercise] = names
        return end

    # results

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item, call):
        for end in self._ends.values():
            end.finish()
        item.repr_failure = item._repr_failure_py = lambda *_, **__: ""  # pytest would print what the student returned, however long
        report = yield
        if report.when == "call" or (report.when == "setup" and not report.passed):
            mark, exercise = item.get_closest_marker("exercise"), exercise_of(item)
            if not report.passed:
                self.failed.add(exercise)
            self.results.setdefault(exercise, []).append(
                CheckResult(
                    name=item.name,
                    statement=item.get_closest_marker("statement").args[0],
                    hidden=is_hidden(item),
                    points=mark.kwargs["points"],
                    passed=report.passed,
                    message="" if report.passed else self.told(item, call.excinfo.value),
                )
            )
        return report

    def told(self, item, error: BaseException) -> str:
        """What to tell of a failed check."""
        text = str(error).split("\nassert ")[0]
        if isinstance(error, AssertionError | StudentError):
            return clean(text or "the check failed")
        if isinstance(error, KitError):
            return clean(f"the check itself is at fault: {text}")
        return clean(f"the check could not use what the function returned ({type(error).__name__}: {text})")


class Reference:
    """The library's functions by name."""

    def __init__(self, functions: dict[str, Callable]):
        self._functions = functions

    def __getattr__(self, name: str):
        if name not in self._functions:
            raise KitError(f"there is no reference of {name!r} here: only hidden checks may use it")
        return self._functions[name]


def lent(function: Callable) -> Callable:
    """A reference as a student's code may call it: with arguments that cannot make the challenger hold more than MOST_LENT numbers.

    Arrays of one number are passed as that number, so that a count is an int and is seen to be one.
    """

    def plain(value):
        return value.item() if hasattr(value, "item") and getattr(value, "shape", None) == () else value

    def bounded(*args, **kwargs):
        args, kwargs = [plain(value) for value in args], {name: plain(value) for name, value in kwargs.items()}
        values = (*args, *kwargs.values())
        counts = [abs(value) for value in values if type(value) in (int, float) and value == value]
        numbers = [math.prod(value.shape) for value in values if hasattr(value, "shape")]
        if max(counts, default=1) * max(numbers, default=1) > MOST_LENT:
            raise ValueError(f"arguments too large for the grader's own function: counts up to {max(counts)}, arrays of up to {max(numbers)} numbers")
        return function(*args, **kwargs)

    return bounded


def _set(item) -> str:
    return item.path.parent.name


def exercise_of(item) -> str:
    return item.get_closest_marker("exercise").args[0]


def is_hidden(item) -> bool:
    return item.path.stem == "hidden"


def run(paths: list[Path], plugin: Plugin) -> None:
    """Runs the checks of the files through pytest, without cache, terminal, bytecode, other plugins or any configuration of the caller's."""
    without = [part for name in WITHOUT for part in ("-p", f"no:{name}")]
    saved = {name: os.environ.get(name) for name in VARIABLES}
    bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        for name in saved:
            os.environ.pop(name, None)
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        code = pytest.main([*ARGUMENTS, *without, f"--rootdir={paths[0].parent.parent}", *map(str, paths)], plugins=[plugin])
    finally:
        sys.dont_write_bytecode = bytecode
        for name, value in saved.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise KitError(f"pytest could not run the checks {', '.join(map(str, paths))}: {pytest.ExitCode(code).name}")

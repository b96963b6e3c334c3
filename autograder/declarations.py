"""What the checks of a set declare and which statements there are, read as source: no check is imported, so nothing of theirs need be installed."""

import ast
import csv
from dataclasses import dataclass
from pathlib import Path

from autograder.errors import KitError


@dataclass(frozen=True)
class Check:
    """One function of autograder/checks/<set>/public.py or hidden.py under `@declare(exercise, points=..., statement=..., false_fail=...)`."""

    name: str
    exercise: str
    points: int
    statement: str
    hidden: bool
    path: str
    false_fail: float

    @property
    def node(self) -> str:
        """pytest's node id, from the course's folder."""
        return f"{self.path}::{self.name}"


@dataclass(frozen=True)
class Statement:
    """A row of autograder/statements.tsv: a theorem, definition or algorithm of a source."""

    id: str
    source: str
    statement: str


def statements(root: Path) -> dict[str, Statement]:
    """The statements of the sources by id, in the file's order."""
    path = root / "autograder" / "statements.tsv"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise KitError(f"cannot read the list of statements {path}: {error.strerror}") from error
    found: dict[str, Statement] = {}
    for row in csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE):
        if row["id"] in found:
            raise KitError(f"{path} lists the statement {row['id']!r} twice")
        found[row["id"]] = Statement(row["id"], row["source"], row["statement"])
    return found


def checks(problem_set: str, root: Path) -> list[Check]:
    """The checks of a set, public ones first, each in its file's order.

    Raises:
        KitError: if a check is not declared in full, its points are no positive integer, or two share a name.
    """
    folder = Path("autograder") / "checks" / problem_set
    found = [check for file in ("public.py", "hidden.py") if (root / folder / file).is_file() for check in _file(root, folder / file)]
    places: dict[str, str] = {}
    for check in found:
        if check.name in places:
            raise KitError(f"two checks of {problem_set} are named {check.name}, in {places[check.name]} and {check.path}: names must differ")
        places[check.name] = check.path
    return found


def marked_statements(path: Path, name: str) -> list[tuple[str, tuple[str, ...]]]:
    """The tests of a file under `@pytest.mark.statement("id", ...)`: pytest's node id from `name`, and the ids; a class's mark counts for its tests."""
    return [
        ("::".join([name, *outer, node.name]), ids)
        for outer, node, decorators in _functions(_tree(path, name))
        if (ids := tuple(i for decorator in decorators if _called(decorator) == "statement" for i in _literal_ids(decorator, name)))
    ]


def _file(root: Path, relative: Path) -> list[Check]:
    found = []
    for outer, node, decorators in _functions(_tree(root / relative, relative.as_posix())):
        declared = [decorator for decorator in decorators if _called(decorator) == "declare"]
        place = f"{relative.as_posix()}:{node.lineno}: {node.name}"
        if outer or len(declared) != 1:
            raise KitError(f"{place} must be a function under one @declare(...)")
        found.append(_declared(declared[0], place, node.name, relative))
    return found


def _declared(call: ast.Call, place: str, name: str, relative: Path) -> Check:
    values = {keyword.arg: _literal(keyword.value, place) for keyword in call.keywords if keyword.arg in ("points", "statement", "false_fail")}
    exercises = [_literal(argument, place) for argument in call.args]
    if len(exercises) != 1 or not isinstance(exercises[0], str):
        raise KitError(f"{place} must declare one exercise by its name, got {exercises}")
    points, statement, false_fail = values.get("points"), values.get("statement"), values.get("false_fail")
    if type(points) is not int or points < 1:
        raise KitError(f"{place} must declare its points as a positive integer, got {points!r}")
    if not isinstance(statement, str):
        raise KitError(f"{place} must declare the statement that it verifies by its id, got {statement!r}")
    if type(false_fail) not in (int, float) or not 0 <= false_fail < 1:
        raise KitError(f"{place} must declare its false_fail as a probability below 1, got {false_fail!r}")
    return Check(name, exercises[0], points, statement, relative.name == "hidden.py", relative.as_posix(), float(false_fail))


def _functions(tree: ast.Module) -> list[tuple[list[str], ast.FunctionDef, list[ast.expr]]]:
    """The tests of a file with the classes around them and all decorators that apply."""
    found = []

    def visit(nodes: list[ast.stmt], outer: list[str], decorators: list[ast.expr]) -> None:
        for node in nodes:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test"):
                found.append((outer, node, [*decorators, *node.decorator_list]))
            elif isinstance(node, ast.ClassDef):
                visit(node.body, [*outer, node.name], [*decorators, *node.decorator_list])

    visit(tree.body, [], [])
    return found


def _called(decorator: ast.expr) -> str | None:
    """The last name of what a decorator calls: `declare` of `@declare(...)` and `@autograder.declare(...)`."""
    if not isinstance(decorator, ast.Call):
        return None
    return decorator.func.attr if isinstance(decorator.func, ast.Attribute) else getattr(decorator.func, "id", None)


def _literal_ids(call: ast.Call, place: str) -> list[str]:
    return [_literal(argument, place) for argument in call.args]


def _literal(node: ast.expr, place: str) -> object:
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise KitError(f"{place}: {ast.unparse(node)!r} in line {node.lineno} must be written out, not computed") from None


def _tree(path: Path, name: str) -> ast.Module:
    try:
        return ast.parse(path.read_bytes())
    except SyntaxError as error:
        raise KitError(f"{name} is not valid Python: line {error.lineno}: {error.msg}") from error

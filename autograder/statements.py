"""The ledger: of every statement of the sources, where the library implements it, which tests and checks verify it, which exercises teach it."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from autograder import declarations
from autograder.course import ROOT, sets
from autograder.errors import KitError
from autograder.naming import LIBRARY

CITATION = re.compile(r"\bStatement: ([^\s,]+(?:,\s+[^\s,]+)*)\.\s*\Z")


@dataclass(frozen=True)
class Entry:
    """A row of the ledger; a statement is complete when no list is empty.

    implemented: qualified names whose docstrings end with `Statement: <id>.`
    tests, checks: pytest's node ids.
    exercises: `set/exercise`.
    """

    id: str
    source: str
    statement: str
    implemented: tuple[str, ...]
    tests: tuple[str, ...]
    checks: tuple[str, ...]
    exercises: tuple[str, ...]

    @property
    def complete(self) -> bool:
        return all((self.implemented, self.tests, self.checks, self.exercises))


def ledger(root: Path = ROOT) -> list[Entry]:
    """The entries in the order of autograder/statements.tsv.

    Raises:
        KitError: if anything names a statement that the file does not list.
    """
    root = Path(root)
    known = declarations.statements(root)
    columns: dict[str, dict[str, list[str]]] = {key: defaultdict(list) for key in ("implemented", "tests", "checks", "exercises")}

    def add(column: str, statement: str, place: str, where: str = "") -> None:
        if statement not in known:
            raise KitError(f"{where or place} names the statement {statement!r}, which autograder/statements.tsv does not list")
        if place not in columns[column][statement]:
            columns[column][statement].append(place)

    for name, statement in implementations(root / "lib"):
        add("implemented", statement, name)
    for path in sorted((root / "tests").rglob("*.py")):
        for node, ids in declarations.marked_statements(path, path.relative_to(root).as_posix()):
            for statement in ids:
                add("tests", statement, node)
    for problem_set in sets(root):
        for check in declarations.checks(problem_set, root):
            add("checks", check.statement, check.node)
            add("exercises", check.statement, f"{problem_set}/{check.exercise}", check.node)
    return [Entry(one.id, one.source, one.statement, *(tuple(columns[column][one.id]) for column in columns)) for one in known.values()]


def implementations(library: Path) -> Iterator[tuple[str, str]]:
    """Qualified name and statement of every public docstring that ends with `Statement: id[, id].`"""
    for path in sorted((library / LIBRARY).rglob("*.py")):
        parts = path.relative_to(library).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        for name, docstring in _docstrings(ast.parse(path.read_bytes()), module):
            found = CITATION.search(docstring)
            if "Statement:" in docstring and not found:
                raise KitError(f"the docstring of {name} must end with its statements as in `Statement: cohen-thm-1, cohen-certify.`")
            for statement in re.split(r",\s+", found[1]) if found else ():
                yield name, statement


def _docstrings(node: ast.Module | ast.ClassDef | ast.FunctionDef, name: str) -> Iterator[tuple[str, str]]:
    """A module's or class's own docstring and those of the public functions and classes in it."""
    yield name, ast.get_docstring(node) or ""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        for child in node.body:
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not child.name.startswith("_"):
                yield from _docstrings(child, f"{name}.{child.name}")

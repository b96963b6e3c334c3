"""The solved notebook, made to the byte from a resolved problem set: stable ids, no outputs, sorted keys."""

import hashlib
import json
import sys
from pathlib import Path

import nbformat

from autograder import blanking
from autograder.course import Exercise, ProblemSet
from autograder.errors import KitError
from autograder.manuscript import Cell
from autograder.naming import LIBRARY, Import

WIDTH = 100
METADATA = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": {"name": "python"}}
EDITION = """\
# The backdoors/ and autograder/ beside this notebook are the ones it needs.
PROBLEM_SET = "{set}"
try:
    from {library} import __edition__ as edition
except ImportError:
    edition = "missing"
if edition != PROBLEM_SET:
    raise ImportError(
        f"this notebook needs the folder {library}/ made for {{PROBLEM_SET}}, and the one that Python finds is {{edition!r}}: "
        "start JupyterLab in the folder of this notebook (`autograder release` makes it)"
    )
"""


def solved(resolved: ProblemSet) -> str:
    """The text of solutions/<set>/<set>.ipynb."""
    cells: list[dict] = []
    exercises = {one.name: one for one in resolved.exercises}
    start = next((i for i, cell in enumerate(resolved.manuscript.cells) if cell.kind not in ("text", "question")), 0)
    for i, cell in enumerate(resolved.manuscript.cells):
        if i == start:
            cells.append(_code(first_cell(resolved)))
        cells += _cells(cell, resolved, exercises.get(cell.name) if cell.kind == "exercise" else None)
    return _text(cells, resolved.manuscript.set)


def first_cell(resolved: ProblemSet) -> str:
    """The assertion of the edition, then one import for everything that the exercises and copied functions need."""
    edition = EDITION.format(library=LIBRARY, set=resolved.manuscript.set)
    return edition + "\n" + import_block([*resolved.imports, Import("autograder", "check")])


def import_block(lines: list[Import]) -> str:
    """Imports as isort orders them: standard library, installed packages, the kit; in each, `import` lines first."""
    blocks = []
    for section in range(3):
        mine = [line for line in lines if _section(line) == section]
        block = sorted({line.line for line in mine if not line.name})
        for module in sorted({line.module for line in mine if line.name}):
            names = sorted({line for line in mine if line.name and line.module == module}, key=lambda line: (_rank(line.name), line.name, line.alias))
            block.append(_from(module, [f"{line.name} as {line.alias}" if line.alias else line.name for line in names]))
        blocks += ["\n".join(block)] if block else []
    return "\n\n".join(blocks)


def read(path: Path) -> nbformat.NotebookNode:
    """A notebook of the course's own making."""
    return nbformat.read(path, as_version=4)


def _cells(cell: Cell, resolved: ProblemSet, exercise: Exercise | None) -> list[dict]:
    """What one cell of the manuscript becomes."""
    if exercise:
        source = blanking.marked(resolved.library.source(cell.module), cell.name, cell.module)
        return [
            _markdown(announcement(exercise, resolved.sources)),
            _code(source, cell.name, solution=True),
            _code(f'check("{cell.name}")', f"check-{cell.name}", grade=True, locked=True, points=exercise.points),
        ]
    if cell.kind == "copy":
        return [_code(blanking.text(resolved.library.source(cell.module), cell.name, cell.module).replace("\r\n", "\n"))]
    if cell.kind == "question":
        question = _markdown(cell.source, f"question-{cell.name}", locked=True)
        return [question, _markdown(cell.answer, cell.name, grade=True, solution=True, points=cell.points)]
    return [_markdown(cell.source, tags=cell.tags) if cell.kind == "text" else _code(cell.source, tags=cell.tags)]


def announcement(exercise: Exercise, sources: dict[str, str]) -> str:
    """The line above an exercise: size, points, and what its checks verify."""
    statements = ", ".join(f"`{i}` ({sources[i]})" for i in exercise.statements)
    size = f"about {_count(exercise.lines, 'line')}, {_count(exercise.points, 'point')}"
    return f"**Exercise `{exercise.name}`**: {size}. Its checks verify {statements}."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _code(source: str, grade_id: str = "", tags: tuple[str, ...] = (), **marks) -> dict:
    return {"cell_type": "code", "execution_count": None, "metadata": _metadata(grade_id, tags, marks), "outputs": [], "source": source}


def _markdown(source: str, grade_id: str = "", tags: tuple[str, ...] = (), **marks) -> dict:
    return {"cell_type": "markdown", "metadata": _metadata(grade_id, tags, marks), "source": source}


def _metadata(grade_id: str, tags: tuple[str, ...], marks: dict) -> dict:
    found = {"tags": list(tags)} if tags else {}
    if grade_id:
        usual = {"grade": False, "grade_id": grade_id, "locked": False, "schema_version": 3, "solution": False, "task": False}
        found["nbgrader"] = usual | marks
    return found


def _text(cells: list[dict], problem_set: str) -> str:
    """The notebook's bytes: two builds of one source are equal, and version control shows what changed."""
    ids: dict[str, int] = {}
    for i, cell in enumerate(cells):
        grade_id = cell["metadata"].get("nbgrader", {}).get("grade_id", "")
        digest = hashlib.sha256(f"{i}:{cell['source']}".encode()).hexdigest()[:12]
        cell["id"] = grade_id.replace("_", "-") or f"c-{digest}"
        if cell["id"] in ids:
            raise KitError(f"{problem_set}: two cells of the notebook have the id {cell['id']!r}: rename the question or exercise")
        ids[cell["id"]] = i
        cell["source"] = cell["source"].splitlines(keepends=True)
    book = {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}
    nbformat.validate(book)
    return json.dumps(book, sort_keys=True, indent=1, ensure_ascii=False) + "\n"


def _section(line: Import) -> int:
    package = line.module.split(".")[0]
    return 0 if package in sys.stdlib_module_names else 2 if package in (LIBRARY, "autograder") else 1


def _rank(name: str) -> int:
    """isort's order of names: constants, classes, functions."""
    return 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2


def _from(module: str, names: list[str]) -> str:
    line = f"from {module} import {', '.join(names)}"
    return line if len(line) <= WIDTH else f"from {module} import (\n" + "".join(f"    {name},\n" for name in names) + ")"

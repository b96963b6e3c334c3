"""From a manuscript and the library's source to the solved notebook and, through nbgrader's own generate_assignment, what students get.

Everything here is deterministic to the byte, imports neither the library nor the checks, and writes nothing unless all of it worked.
"""

import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

from autograder import blanking, leaking, notebooks
from autograder.course import ROOT, Exercise, ProblemSet, exercises, load_manuscript, owners, require_set, resolve, sets
from autograder.errors import KitError

__all__ = ["ROOT", "Exercise", "ReleasedCell", "build", "exercises", "is_built", "load_manuscript", "released_cells", "require_set", "sets"]


class ReleasedCell(NamedTuple):
    """A cell of the notebook that students get."""

    grade_id: str | None
    cell_type: str
    source: str
    tags: tuple[str, ...]


def build(problem_set: str, root: Path = ROOT) -> None:
    """Writes solutions/<set>/<set>.ipynb and assignments/<set>/, both or, where anything is wrong, neither."""
    root = Path(root)
    resolved = resolve(problem_set, root)
    source, target = root / "solutions" / problem_set, root / "assignments" / problem_set
    scratch = root / "build"  # on the same file system, so that what is ready is put in place by renaming
    scratch.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch, prefix="building-") as folder:
        course = Path(folder)
        ignored = shutil.ignore_patterns("*.ipynb", ".ipynb_checkpoints", "__pycache__")
        shutil.copytree(source, course / "solutions" / problem_set, ignore=ignored)
        solved = course / "solutions" / problem_set / f"{problem_set}.ipynb"
        solved.write_text(notebooks.solved(resolved), encoding="utf-8", newline="\n")
        _generate_assignment(problem_set, course, root / "nbgrader_config.py")
        released = course / "assignments" / problem_set
        leaking.require_no_solution(released, resolved, owners(root))
        _require_blanks(released / f"{problem_set}.ipynb", resolved)
        target.parent.mkdir(exist_ok=True)
        if target.exists():
            os.rename(target, course / "replaced")
        os.rename(released, target)
        os.replace(solved, source / f"{problem_set}.ipynb")


def is_built(problem_set: str, root: Path = ROOT) -> bool:
    """Whether the committed notebooks are what the manuscript, the library and the checks make now."""
    folder = Path(root) / "solutions" / problem_set
    solved, released = folder / f"{problem_set}.ipynb", Path(root) / "assignments" / problem_set / f"{problem_set}.ipynb"
    return released.is_file() and solved.is_file() and solved.read_text(encoding="utf-8") == notebooks.solved(resolve(problem_set, root))


def released_cells(problem_set: str, root: Path = ROOT) -> list[ReleasedCell]:
    """The cells of assignments/<set>/<set>.ipynb in order: what every submission started from."""
    require_set(problem_set, root)
    path = Path(root) / "assignments" / problem_set / f"{problem_set}.ipynb"
    if not path.is_file():
        raise KitError(f"{path} does not exist: run `autograder build {problem_set}` first")
    return [
        ReleasedCell(cell.metadata.get("nbgrader", {}).get("grade_id"), cell.cell_type, cell.source, tuple(cell.metadata.get("tags", ())))
        for cell in notebooks.read(path).cells
    ]


def _generate_assignment(problem_set: str, course: Path, config: Path) -> None:
    """Runs nbgrader's converter over a course folder with the configuration that stock nbgrader reads, but without a gradebook."""
    from nbgrader.converters import GenerateAssignment
    from nbgrader.coursedir import CourseDirectory
    from traitlets.config import Config, PyFileConfigLoader

    if not config.is_file():
        raise KitError(f"{config} does not exist: it tells nbgrader where the course's folders are")
    settings = Config(PyFileConfigLoader(config.name, path=str(config.parent)).load_config())
    settings.CourseDirectory.root = str(course)
    settings.SaveCells.enabled = False
    settings.GenerateAssignment.no_database = True
    folders = CourseDirectory(config=settings)
    folders.assignment_id = problem_set
    converter = GenerateAssignment(coursedir=folders, config=settings)
    converter.log = logging.getLogger("autograder.generate_assignment")
    converter.log.propagate = False
    said = _Errors()
    converter.log.addHandler(said)
    try:
        converter.start()
    except Exception as error:
        raise KitError(f"nbgrader could not make assignments/{problem_set}: {' '.join([*said.messages, str(error)])}") from error
    finally:
        converter.log.removeHandler(said)


class _Errors(logging.Handler):
    """Keeps the first line of every error that nbgrader logs."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage().split("\n")[0])


def _require_blanks(released: Path, resolved: ProblemSet) -> None:
    """What nbgrader leaves of each exercise is what `release` leaves of it in the library: one stub, two places."""
    cells = {cell.metadata.get("nbgrader", {}).get("grade_id"): cell.source for cell in notebooks.read(released).cells}
    for one in resolved.exercises:
        source = resolved.library.source(one.module)
        blank = blanking.text(blanking.blanked(source, [one.name], one.module), one.name, one.module)
        if cells.get(one.name) != blank.replace("\r\n", "\n"):
            raise KitError(f"nbgrader left another blank of {one.name} than the library's: ClearSolutions.code_stub must be {blanking.STUB}")

"""No solution may stand in what students get, unless the library says the same outside its exercises."""

from collections import defaultdict
from pathlib import Path

from autograder import blanking, notebooks
from autograder.course import ProblemSet
from autograder.errors import KitError
from autograder.linking import Place
from autograder.naming import LIBRARY, Library


def require_no_solution(folder: Path, resolved: ProblemSet, owners: dict[Place, str]) -> None:
    """Looks for the set's solutions in every file of a folder: code cells and texts of notebooks, and whatever else is text.

    White space counts for nothing. A solution is a statement of 25 or more characters of an exercise's body, a comment in it, or such a line of
    a model answer.

    Args:
        owners: the set of every exercise of the course.

    Raises:
        KitError: if one is found; the message names file and solution.
    """
    library, text = resolved.library, resolved.manuscript
    secrets = {secret: cell.target for cell in text.of("exercise") for secret in blanking.telling(library.source(cell.module), cell.name, cell.module)}
    for cell in text.of("question"):
        lines = [blanking.normalised(line) for line in cell.answer.splitlines()]
        secrets |= {line: cell.target for line in lines if len(line) >= blanking.TELLING}
    public = _outside(library, owners)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        released = _squeezed(_content(path))
        for secret, owner in secrets.items():
            if _squeezed(secret) in released and _squeezed(secret) not in public:
                raise KitError(f"{text.set}: {path.relative_to(folder)} would give away the solution of {owner}: {secret}")


def _outside(library: Library, owners: dict[Place, str]) -> str:
    """All source of the library but the bodies of exercises, without white space."""
    names = defaultdict(list)
    for module, name in owners:
        names[library.path(module)].append(name)
    paths = sorted((library.folder / LIBRARY).rglob("*.py"))
    sources = {path: path.read_bytes().decode("utf-8") for path in paths}
    return "\n".join(_squeezed(blanking.blanked(source, names[path], path.stem) if names[path] else source) for path, source in sources.items())


def _squeezed(text: str) -> str:
    """The text without its white space."""
    return "".join(text.split())


def _content(path: Path) -> str:
    if path.suffix == ".ipynb":
        return "\n".join(cell.source for cell in notebooks.read(path).cells)
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""

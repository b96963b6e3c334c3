"""A problem set's manuscript: MyST Markdown with the story in full and, where an exercise or a copied function goes, its name in the library."""

import re
from dataclasses import dataclass
from pathlib import Path

from autograder.errors import KitError

GRADE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")  # nbgrader's rule
MODEL_ANSWER = "**Model answer.**"
KEYS = {"exercise": set(), "copy": set(), "question": {"points"}}  # what names a cell's kind, and what may stand beside it


@dataclass(frozen=True)
class Cell:
    """One cell of a manuscript.

    kind: `text`, `given`, `explore` (given, and may be skipped when graded), `exercise`, `copy` or `question`.
    target: the exercise's or copied function's dotted name, the question's id; else empty.
    source: what stands in the cell; of a question, the text above its model answer.
    number: position in the manuscript, from 1.
    """

    kind: str
    source: str
    number: int
    target: str = ""
    points: int = 0
    answer: str = ""
    tags: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        return self.target.rpartition(".")[0]

    @property
    def name(self) -> str:
        return self.target.rpartition(".")[2]


@dataclass(frozen=True)
class Manuscript:
    """A problem set as its instructor wrote it."""

    set: str
    title: str
    cells: tuple[Cell, ...]

    def of(self, *kinds: str) -> list[Cell]:
        """The cells of some kinds, in order."""
        return [cell for cell in self.cells if cell.kind in kinds]


def read(path: Path) -> Manuscript:
    """The manuscript in a file.

    Raises:
        KitError: if it is not MyST, or a cell's metadata says what no cell can be; the message names file and cell.
    """
    import jupytext
    import yaml
    from jupytext.myst import MystMetadataParsingError

    try:
        notebook = jupytext.reads(path.read_text(encoding="utf-8"), fmt="md:myst")
    except (MystMetadataParsingError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise KitError(f"{path} is not a manuscript in MyST Markdown: {' '.join(str(error).split())}") from error
    title = notebook.metadata.get("backdoors", {}).get("title", path.stem)
    return Manuscript(path.stem, title, tuple(_cell(cell, f"{path}, cell {i}", i) for i, cell in enumerate(notebook.cells, 1)))


def _cell(cell, place: str, number: int) -> Cell:
    metadata = dict(cell.metadata)
    tags = tuple(metadata.pop("tags", ()))
    kinds = [kind for kind in KEYS if kind in metadata]
    allowed = set(kinds[:1]) | (KEYS[kinds[0]] if kinds else set())
    if unknown := sorted(set(metadata) - allowed):
        raise KitError(f"{place}: nothing is known about the metadata {', '.join(unknown)}; a cell has one of {', '.join(KEYS)}, or tags")
    if kinds and tags:
        raise KitError(f"{place}: the tags {', '.join(tags)} have no meaning on a cell with {kinds[0]!r}")
    if cell.cell_type == "markdown" and not kinds:
        return Cell("text", cell.source, number, tags=tags)
    if cell.cell_type == "code" and not kinds:
        return Cell("explore" if "explore" in tags else "given", cell.source, number, tags=tags)
    target = str(metadata[kinds[0]])
    if (cell.cell_type == "markdown") != (kinds == ["question"]):
        raise KitError(f"{place}: {kinds[0]!r} belongs to a {'markdown' if kinds == ['question'] else 'code'} cell, this is a {cell.cell_type} cell")
    if kinds == ["question"]:
        return _question(cell.source, metadata, place, number)
    if cell.source.strip():
        raise KitError(f"{place}: the cell of {target} must be empty, its source comes from the library")
    if not all(part.isidentifier() for part in target.split(".")) or "." not in target:
        raise KitError(f"{place}: {target!r} is no dotted name of a function, such as backdoors.smoothing.certify.predict")
    return Cell(kinds[0], "", number, target)


def _question(source: str, metadata: dict, place: str, number: int) -> Cell:
    name, points = str(metadata["question"]), metadata.get("points")
    if not GRADE_ID.fullmatch(name):
        raise KitError(f"{place}: the question's id {name!r} must be 1 to 64 letters, digits, - or _")
    if type(points) is not int or points < 1:
        raise KitError(f"{place}: the question {name} must have points, a positive integer, got {points!r}")
    text, mark, answer = source.partition(MODEL_ANSWER)
    if not (text.strip() and mark and answer.strip()):
        raise KitError(f"{place}: the question {name} must have a text, the line {MODEL_ANSWER} and the answer under it")
    return Cell("question", text.strip(), number, name, points, answer.strip())

"""What is in a notebook that a student handed in, which is hostile, and what of it is graded. Nothing here runs code of a student's."""

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from functools import lru_cache
from itertools import count
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from autograder.archives import too_large
from autograder.collecting import NOTEBOOK, gather, read_file
from autograder.course import ROOT, require_set
from autograder.errors import KitError, SubmissionError

__all__ = ["SubmissionError", "gather", "normalise", "read", "read_file", "read_release", "released", "restore", "sanitise"]

CELLS = 2_000  # most cells of a notebook
FLAGS = 40  # most flags of a notebook
IMAGES = ("image/png", "image/jpeg", "image/gif")
IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,64}")
METADATA = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": {"name": "python"}}


def read(content: bytes) -> NotebookNode:
    """A notebook from bytes, rebuilt as a valid one of format 4.5 without outputs: only sources, tags, ids, attached images and the metadata of
    nbgrader are kept.

    Raises:
        SubmissionError: where the bytes are no notebook.
    """
    if len(content) > NOTEBOOK:
        raise SubmissionError(too_large("the notebook", len(content), NOTEBOOK))
    try:
        record = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError):  # bad UTF-8, bad JSON, numbers of a million digits
        raise SubmissionError("the file is not JSON, so not a notebook; save it in Jupyter and hand in that .ipynb file") from None
    return normalise(record)


def normalise(record: object) -> NotebookNode:
    """The notebook that a dict from JSON describes, as `read` promises it; raises SubmissionError where it describes none."""
    if not isinstance(record, dict) or not isinstance(record.get("nbformat"), int):
        raise SubmissionError("the file is JSON but not a notebook; save it in Jupyter and hand in that .ipynb file")
    if record["nbformat"] > 4:
        raise SubmissionError(f"the notebook has format {record['nbformat']}, newer than 4; save it in the Jupyter of this course")
    if record["nbformat"] < 4:
        try:
            record = nbformat.convert(nbformat.from_dict(record), 4)
        except Exception:  # the converters assume well-formed notebooks
            raise SubmissionError(f"the notebook has the old format {record['nbformat']} and cannot be converted; save it in Jupyter 4") from None
    cells = record.get("cells")
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise SubmissionError("the notebook has no list of cells; save it in Jupyter and hand in that .ipynb file")
    if len(cells) > CELLS:
        raise SubmissionError(f"the notebook has {len(cells)} cells; at most {CELLS} are read")
    used: set[str] = set()
    rebuilt = [_rebuild(cell, index, used) for index, cell in enumerate(cells)]
    return nbformat.from_dict({"nbformat": 4, "nbformat_minor": 5, "metadata": METADATA, "cells": rebuilt})


def sanitise(nb: bytes | NotebookNode | dict, set: str, root: Path | None = None) -> tuple[list[dict], list[str]]:
    """What is run of a notebook, and what an instructor should know about it.

    Args:
        nb: what a student handed in, or any notebook.
        set: name of the problem set.
        root: the course's folder; by default this checkout.

    Returns:
        The code cells in order as `{"source": str, "kind": "given" | "solution" | "added" | "explore", "name": grade_id or None}`, and flags. Check
        cells and exploration cells that are as released are left out. "given" is as released, "explore" a changed exploration cell.

    Raises:
        SubmissionError: where it is no notebook, or one of another set.
    """
    release = released(set, root)
    repaired, flags, put_back = restore(read(nb) if isinstance(nb, bytes) else normalise(nb), release, set)
    return list(_run(repaired, release, put_back)), flags


def released(set: str, root: Path | None = None) -> NotebookNode:
    """The notebook that students were given, which all who ask share: copy it before you change it. Raises KitError where there is none."""
    path = (root or ROOT) / "assignments" / set / f"{set}.ipynb"
    if not path.is_file():
        require_set(set, root or ROOT)
    return _released(path, path.stat().st_mtime_ns if path.is_file() else 0)


@lru_cache(maxsize=8)
def _released(path: Path, changed: int) -> NotebookNode:
    return read_release(path)


def read_release(path: Path) -> NotebookNode:
    """A released notebook, which is trusted, from a file; raises KitError where there is none."""
    if not path.is_file():
        raise KitError(f"there is no released notebook {path}; build the set with `autograder build`")
    return nbformat.read(path, as_version=4)


def restore(nb: NotebookNode, release: NotebookNode, set: str) -> tuple[NotebookNode, list[str], frozenset[str]]:
    """Gives a notebook the metadata and the locked cells of its release.

    A cell whose id is unknown or was there before loses its nbgrader metadata whole: the first copy counts. The others get the release's metadata
    and, where locked, source. Missing cells are put back after the one that precedes them in the release.

    Returns:
        `nb`, repaired, flags, and the ids of the cells put back.

    Raises:
        SubmissionError: where the notebook is of another set.
    """
    known = {_grade_id(cell): cell for cell in release.cells if _grade_id(cell)}
    _require_set(nb, known, set)
    flags: list[str] = []
    places: dict[str, NotebookNode] = {}
    for cell in nb.cells:
        name = _grade_id(cell)
        if name in known and name not in places:
            places[name] = cell
            flags += _as_released(cell, known[name], name)
        elif "nbgrader" in cell.metadata:
            del cell.metadata["nbgrader"]
            flags.append(f"the cell {name} is there more than once; the first counts" if name in known else f"a cell has the unknown id {name!r}")
    cells, previous = list(nb.cells), None
    for name, cell in known.items():
        if name not in places:
            places[name] = deepcopy(cell)
            index = next((i + 1 for i, other in enumerate(cells) if previous is not None and other is previous), 0)
            cells.insert(index, places[name])
            flags.append(f"the cell {name} is missing" + ("; it was put back" if _locked(cell) else ""))
        previous = places[name]
    flags += _missing_given(nb, release)
    put_back = frozenset(name for name, cell in places.items() if not any(cell is own for own in nb.cells))
    _distinct_ids(cells, places, release)
    nb.cells = cells
    if len(flags) > FLAGS:
        flags = flags[:FLAGS] + [f"and {len(flags) - FLAGS} more of this kind"]
    return nb, flags, put_back


def _text(value: object) -> str:
    if isinstance(value, list):
        value = "".join(part for part in value if isinstance(part, str))
    return re.sub("[\ud800-\udfff]", "\ufffd", value) if isinstance(value, str) else ""


def _rebuild(cell: dict, index: int, used: set[str]) -> dict:
    kind = cell.get("cell_type") if cell.get("cell_type") in ("code", "markdown", "raw") else "raw"
    given = cell.get("metadata") if isinstance(cell.get("metadata"), dict) else {}
    metadata: dict = {}
    if "nbgrader" in given:
        name = given["nbgrader"].get("grade_id") if isinstance(given["nbgrader"], dict) else None
        metadata["nbgrader"] = {"grade_id": _text(name)[:64]}
    tags = given.get("tags") if isinstance(given.get("tags"), list) else []
    if tags:
        metadata["tags"] = sorted({tag for tag in tags if isinstance(tag, str) and IDENTIFIER.fullmatch(tag)})
    identifier = cell.get("id")
    if not isinstance(identifier, str) or not IDENTIFIER.fullmatch(identifier) or identifier in used:
        identifier = f"s-{index}"
    used.add(identifier)
    rebuilt = {"cell_type": kind, "id": identifier, "metadata": metadata, "source": _text(cell.get("source"))}
    if kind == "code":
        rebuilt.update(outputs=[], execution_count=None)
    if kind == "markdown" and isinstance(cell.get("attachments"), dict):
        rebuilt["attachments"] = {_text(name): images for name, bundle in cell["attachments"].items() if (images := _images(bundle))}
    return rebuilt


def _images(bundle: object) -> dict[str, str]:
    bundle = bundle if isinstance(bundle, dict) else {}
    texts = {kind: _text(bundle[kind]) for kind in IMAGES if kind in bundle}
    return {kind: text for kind, text in texts.items() if re.fullmatch(r"[A-Za-z0-9+/=\s]+", text)}


def _grade_id(cell: NotebookNode) -> str | None:
    metadata = cell.metadata.get("nbgrader")
    return metadata.get("grade_id") if isinstance(metadata, dict) else None


def _locked(cell: NotebookNode) -> bool:
    metadata = cell.metadata["nbgrader"]
    return not metadata.get("solution") and (metadata.get("locked") or metadata.get("grade"))


def _require_set(nb: NotebookNode, known: dict, set: str) -> None:
    named = re.search(r"^PROBLEM_SET\s*=\s*[\"'](\w+)[\"']", "\n".join(cell.source for cell in nb.cells if cell.cell_type == "code"), re.MULTILINE)
    if named and named[1] != set:
        raise SubmissionError(f"the notebook is of the set {named[1][:64]}, not of {set}")
    if not any(_grade_id(cell) in known for cell in nb.cells):
        raise SubmissionError(f"the notebook has none of the {len(known)} marked cells of {set}; work in the notebook that was released")


def _as_released(cell: NotebookNode, original: NotebookNode, name: str) -> list[str]:
    flags = []
    cell.metadata["nbgrader"] = deepcopy(original.metadata["nbgrader"])
    if cell.cell_type != original.cell_type:
        flags.append(f"the cell {name} had become a {cell.cell_type} cell; it is a {original.cell_type} cell again")
        source, identifier, metadata = cell.source, cell.id, cell.metadata
        cell.clear()
        cell.update(deepcopy(original), source=source, id=identifier, metadata=metadata)
    if _locked(original) and cell.source != original.source:
        if cell.source.split() != original.source.split():
            flags.append(f"the locked cell {name} was changed; it was put back")
        cell.source = original.source
    return flags


def _missing_given(nb: NotebookNode, release: NotebookNode) -> list[str]:
    """Flags for code that was given, unmarked, and is neither where it was nor anywhere else."""
    ids, sources = {cell.id for cell in nb.cells}, {cell.source.strip() for cell in nb.cells}
    given = [cell for cell in release.cells if cell.cell_type == "code" and not _grade_id(cell) and "explore" not in cell.metadata.get("tags", [])]
    missing = [cell.source.strip().split("\n")[0] for cell in given if cell.id not in ids and cell.source.strip() not in sources]
    return [f"the given cell that begins with {line[:60]!r} is missing" for line in missing]


def _distinct_ids(cells: list[NotebookNode], places: dict[str, NotebookNode], release: NotebookNode) -> None:
    """Marked cells get the release's ids; another cell that bears one of these gets a new one."""
    owned = {_grade_id(cell): cell.id for cell in release.cells if _grade_id(cell)}
    marked = {id(cell) for cell in places.values()}
    for name, cell in places.items():
        cell.id = owned[name]
    used = {cell.id for cell in cells if id(cell) in marked}
    for index, cell in enumerate(cells):
        if id(cell) not in marked:
            if cell.id in used:
                cell.id = next(made for number in count() if (made := f"s-{index}-{number}") not in used)
            used.add(cell.id)


def _run(nb: NotebookNode, release: NotebookNode, put_back: frozenset[str]) -> Iterator[dict]:
    originals = {_grade_id(cell) or cell.id: cell for cell in release.cells}
    explored = {cell.source.strip() for cell in release.cells if "explore" in cell.metadata.get("tags", [])}
    given = {cell.source.strip() for cell in release.cells if cell.cell_type == "code"}
    for cell in nb.cells:
        name = _grade_id(cell)
        if cell.cell_type != "code" or cell.source.strip() in explored:
            continue
        metadata = cell.metadata.get("nbgrader", {})
        if metadata.get("solution"):
            if name not in put_back:
                yield {"source": cell.source, "kind": "solution", "name": name}
        elif not metadata.get("grade"):
            original = originals.get(name or cell.id)
            exploration = original is not None and "explore" in original.metadata.get("tags", [])
            kind = "explore" if exploration else "given" if cell.source.strip() in given else "added"
            yield {"source": cell.source, "kind": kind, "name": name}

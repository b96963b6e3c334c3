"""Where the notebooks that students hand in lie: files, folders, archives of a learning management system.

Nothing here follows a link that a student could have made, or trusts a size that a file claims. What cannot be read is a `SubmissionError` with one
sentence; `collect` hands it on in place of the bytes, so that the other submissions are graded.
"""

import os
import re
import stat
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from autograder.errors import KitError

MEGABYTE = 2**20
NOTEBOOK = 20 * MEGABYTE  # largest notebook
ARCHIVE = 1024 * MEGABYTE  # largest archive, packed
UNPACKED = 1024 * MEGABYTE  # largest archive, notebooks unpacked
ENTRIES = 20_000  # most entries of an archive
CANVAS = re.compile(r"(?P<login>[^_]+)(_LATE)?_\d+_\d+_.+")
MOODLE = "_assignsubmission_file"


class SubmissionError(KitError):
    """Why a submission cannot be graded, in one sentence."""


def collect(paths: Iterable[Path | str], set: str | None = None) -> list[tuple[str, str, bytes | SubmissionError]]:
    """(student, path, bytes) of every notebook among `paths`, ordered by student; a SubmissionError in place of bytes that cannot be read.

    A student's id is the folder that nbgrader's layout (`submitted/<student>/<set>/<set>.ipynb`) or a file bearing the set's own name lies in,
    else the login that Moodle or Canvas writes into the name, else the file's stem.

    Args:
        paths: notebooks, folders (searched for `*.ipynb`; links in them are not followed) and zip archives.
        set: where given, notebooks that nbgrader's layout says are of another set are left out.

    Raises:
        KitError: where a path does not exist or nothing is found.
        SubmissionError: where two files have one student's id; it names both.
    """
    paths = [Path(path) for path in paths]
    found = [item for path in paths for item in _open(path, set)]
    if not found:
        raise KitError(f"no notebook{f' of {set}' if set else ''} was found in {', '.join(map(str, paths)) or 'an empty list of paths'}")
    first: dict[str, str] = {}
    for student, path, _ in found:
        if student in first:
            raise SubmissionError(f"{first[student]} and {path} both belong to the student {student!r}; leave one of them out or rename it")
        first[student] = path
    return sorted(found, key=lambda item: item[0])


def read_file(path: Path | str) -> bytes:
    """The bytes of a notebook's file; raises SubmissionError where it is a link, not a file, too large or not readable."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        link = Path(path).is_symlink()
        raise SubmissionError(f"{path} {'is a link' if link else f'cannot be read: {error.strerror}'}; hand in the notebook itself") from None
    with open(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise SubmissionError(f"{path} is not a file; hand in the notebook itself")
        if status.st_size > NOTEBOOK:
            raise SubmissionError(too_large(path, status.st_size))
        return _bounded(file, path)


def _open(path: Path, set: str | None) -> Iterator[tuple[str, str, bytes | SubmissionError]]:
    if path.is_dir():
        yield from _folder(path, set)
    elif path.is_file() and path.suffix.lower() == ".zip":
        yield from _archive(path, set)
    elif path.is_file():
        yield _student(path.absolute().parts, set), str(path), _attempt(read_file, path)
    else:
        raise KitError(f"{path} does not exist; name notebooks, folders or zip archives")


def _folder(root: Path, set: str | None) -> Iterator[tuple[str, str, bytes | SubmissionError]]:
    def refuse(error: OSError):
        raise KitError(f"the folder {error.filename} cannot be read ({error.strerror})")

    for folder, folders, files in os.walk(root, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        for name in sorted(files):
            path = Path(folder, name)
            parts = path.absolute().parts
            if _is_notebook(name) and _wanted(parts, set):
                yield _student(parts, set), str(path), _attempt(read_file, path)


def _archive(path: Path, set: str | None) -> Iterator[tuple[str, str, bytes | SubmissionError]]:
    try:
        if path.stat().st_size > ARCHIVE:
            raise SubmissionError(f"{path} has {path.stat().st_size // MEGABYTE} MB; an archive may have at most {ARCHIVE // MEGABYTE}")
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if len(entries) > ENTRIES:
                raise SubmissionError(f"{path} has {len(entries)} entries; an archive may have at most {ENTRIES}")
            budget = UNPACKED
            for entry in entries:
                parts = PurePosixPath(entry.filename).parts
                hidden = any(part.startswith((".", "__MACOSX")) and part != ".." for part in parts)
                if entry.is_dir() or hidden or not _is_notebook(entry.filename) or not _wanted(parts, set):
                    continue
                content = _attempt(_entry, archive, entry, f"{path}/{entry.filename}", budget)
                budget -= len(content) if isinstance(content, bytes) else 0
                yield _student(parts, set), f"{path}/{entry.filename}", content
    except SubmissionError as error:
        yield path.stem, str(path), error
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        yield path.stem, str(path), SubmissionError(f"{path} is not a zip archive that can be read ({error})")


def _entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str, budget: int) -> bytes:
    if entry.filename.startswith("/") or re.match("[A-Za-z]:", entry.filename) or "\\" in entry.filename or ".." in entry.filename.split("/"):
        raise SubmissionError(f"{name} lies outside its archive; pack the notebook without its path")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise SubmissionError(f"{name} is a link; hand in the notebook itself")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # the others ask for memory as they like
        raise SubmissionError(f"{name} is packed by another method than deflate; pack it as an ordinary zip archive")
    if entry.file_size > NOTEBOOK:
        raise SubmissionError(too_large(name, entry.file_size))
    if entry.file_size > budget:
        raise SubmissionError(f"{name} is not read: the archive holds more than {UNPACKED // MEGABYTE} MB of notebooks")
    try:
        with archive.open(entry) as file:
            return _bounded(file, name)
    except SubmissionError:
        raise
    except Exception as error:  # every decompressor has errors of its own; a password is a RuntimeError
        raise SubmissionError(f"{name} cannot be unpacked ({error})") from None


def _bounded(file, name) -> bytes:
    content = file.read(NOTEBOOK + 1)
    if len(content) > NOTEBOOK:
        raise SubmissionError(too_large(name, len(content)))
    return content


def _attempt(function, *arguments):
    try:
        return function(*arguments)
    except SubmissionError as error:
        return error


def too_large(name, size: int) -> str:
    return f"{name} has {size / MEGABYTE:.0f} MB; a notebook may have at most {NOTEBOOK // MEGABYTE}; clear its outputs and save it again"


def _is_notebook(name: str) -> bool:
    return name.lower().endswith(".ipynb") and not PurePosixPath(name).name.startswith(".")


def _wanted(parts: tuple[str, ...], set: str | None) -> bool:
    """False for a notebook that lies in nbgrader's layout, `submitted/<student>/<set>/`, and is not the set's own."""
    return set is None or "submitted" not in parts[-6:-3] or (parts[-4] == "submitted" and parts[-2:] == (set, f"{set}.ipynb"))


def _student(parts: tuple[str, ...], set: str | None) -> str:
    stem = PurePosixPath(parts[-1]).stem
    moodle = [part.split(MOODLE)[0] for part in parts if MOODLE in part]
    if moodle:  # the outermost: folders below it are the student's own
        return moodle[0]
    if len(parts) > 2 and parts[-2] == stem and set in (None, stem):
        return parts[-3]
    canvas = CANVAS.fullmatch(stem)
    if canvas:
        return canvas["login"]
    return parts[-2] if len(parts) > 1 and stem == set else stem

"""Where the notebooks that students hand in lie: files, folders, archives that Canvas and Moodle make, archives that students make.

Nothing here follows a link that a student could have made, believes a size or a name that a file claims, or holds more than one notebook at a time:
`gather` looks at names alone, and `Handin.read` reads one. What cannot be read is one sentence, and the others are graded all the same.
"""

import io
import os
import stat
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath

from autograder import archives
from autograder.errors import KitError, SubmissionError
from autograder.senders import File, sender, wanted

MEGABYTE = 2**20
NOTEBOOK = 20 * MEGABYTE  # largest notebook
PACKED = 64 * MEGABYTE  # largest archive of one student


@dataclass(frozen=True)
class Handin:
    """What one student handed in.

    Attributes:
        student: the id; see `gather`.
        path: where the notebook lies, for people.
        flags: what an instructor should know of how it was handed in.
        place: file, and entries of archives in it, that hold the notebook; empty where `fault` says why there is none.
        fault: why nothing can be graded.
    """

    student: str
    path: str
    flags: tuple[str, ...] = ()
    place: tuple[Path | int, ...] = ()
    fault: str = ""

    def read(self) -> bytes:
        """The notebook's bytes; raises SubmissionError where they cannot be had."""
        if self.fault:
            raise SubmissionError(self.fault)
        return _read(self.place, self.path, NOTEBOOK)


def gather(paths: Iterable[Path | str], set: str | None = None) -> tuple[list[Handin], list[str]]:
    """What every student handed in, ordered by student, and the files that are refused where no student can be named, one sentence each.

    A student's id is nbgrader's (`submitted/<student>/<set>/<set>.ipynb`), else Moodle's `<full name>_<number>`, else Canvas's `<name>_<number>` or
    `anon_<letters>`, else the folder of a file that bears the set's own name, else the file's stem. Names inside an archive that a student packed
    name nobody. Of several files that a system holds for one student the one that bears the set's name counts; of versions of one
    file in Canvas the newest; else nothing is graded and the fault names the files.

    Args:
        paths: notebooks, folders (searched; links in them are not followed) and zip archives, of a class or of one student.
        set: where given, notebooks that nbgrader's layout says are of another set are left out.

    Raises:
        KitError: where a path does not exist, nothing is found, or two files outside such a system have one student's id; it names both.
    """
    paths = [Path(path) for path in paths]
    files: dict[str, list[File]] = defaultdict(list)
    refused: list[str] = []
    for file in (file for path in paths for file in _open(path, set)):
        if file.student:
            files[file.student].append(file)
        else:
            refused.append(file.fault)
    if not files:
        where = ", ".join(map(str, paths)) or "an empty list of paths"
        raise KitError(f"no notebook{f' of {set}' if set else ''} was found in {where}" + (f": {refused[0]}" if refused else ""))
    for mine in files.values():
        _require_one_source(mine)
    return [_choose(files[student], set) for student in sorted(files)], refused


def pick(folder: Path, student: str, set: str) -> Handin:
    """What one student handed in, of a folder that holds nothing else; which file counts is as for `gather`.

    Raises:
        KitError: where the folder holds no file.
    """
    files = [File(student, path.name, folder, (path,), path.name, "the folder") for path in _walk(folder)]
    if not files:
        raise KitError(f"nothing was handed in; hand in the notebook {set}.ipynb")
    return _choose(files, set)


def read_file(path: Path | str) -> bytes:
    """The bytes of a notebook's file; raises SubmissionError where it is a link, not a file, too large or not readable."""
    return _read((Path(path),), str(path), NOTEBOOK)


def _open(path: Path, set: str | None) -> Iterator[File]:
    """Every file below a path that may be a student's."""
    if path.is_dir():
        for inner in _walk(path):
            below = (path.absolute().name, *inner.relative_to(path).parts)
            yield from _offer(sender(inner.absolute().parts, below, str(inner), path, (inner,), set), inner.absolute().parts, set)
    elif path.is_file():
        file = sender(path.absolute().parts, (path.name,), str(path), path, (path,), set)
        if file.kind == ".zip" and not file.system:
            yield from _of_class(path, set)
        else:
            yield file
    else:
        raise KitError(f"{path} does not exist; name notebooks, folders or zip archives")


def _walk(root: Path) -> Iterator[Path]:
    """The files of a folder, in order, without hidden ones; links to folders are not followed."""

    def refuse(error: OSError):
        raise KitError(f"the folder {error.filename} cannot be read ({error.strerror})")

    for folder, folders, names in os.walk(root, onerror=refuse):
        folders[:] = sorted(name for name in folders if not _hidden([name]))
        yield from (Path(folder, name) for name in sorted(names) if not _hidden([name]))


def _of_class(path: Path, set: str | None) -> Iterator[File]:
    """The files of an archive that an instructor gave."""
    try:
        with open(path, "rb") as handle:
            listed = archives.entries(archives.open_archive(handle, str(path)), str(path))
    except OSError as error:
        raise KitError(f"{path} cannot be read ({error.strerror})") from None
    except SubmissionError as error:
        yield File("", str(path), path, (), "", fault=str(error))
        return
    for entry in listed:
        parts = PurePosixPath(path.stem, entry.name).parts
        if entry.hostile:
            yield File("", entry.name, path, (), "", fault=str(entry.fault))
        elif not _hidden(parts[1:]):
            file = sender(parts, parts[1:], f"{path}/{entry.name}", path, (path, entry.index), set)
            yield from _offer(replace(file, fault=str(entry.fault or "")), parts, set)


def _offer(file: File, parts: tuple[str, ...], set: str | None) -> Iterator[File]:
    """The file, where it is a student's; an archive inside something else is one student's, so nobody's where no system says whose."""
    if not file.system and (file.kind not in (".ipynb", ".zip") or not wanted(parts, set)):
        return
    if file.kind == ".zip" and not file.system:
        why = f"{file.path} bears no name of Canvas or Moodle that would say whose it is; give its own path to have it read"
        file = replace(file, student="", fault=why)
    yield file


def _require_one_source(files: list[File]) -> None:
    """Raises KitError where two files of one student are not what one learning management system holds for them."""
    seen: dict[tuple, File] = {}
    for file in files:
        if file.fault or (file.system and file.kind not in (".ipynb", ".zip")):
            continue
        first = next(iter(seen.values()), None)
        where = file.upload or file.place  # Canvas counts uploads, so that one stands in two of its archives under one number
        if first and (not file.system or file.system != first.system or (file.system != "Canvas" and file.source != first.source) or where in seen):
            raise KitError(f"{seen.get(where, first).path} and {file.path} both belong to the student {file.student!r}; leave one of them out or rename it")
        seen[where] = file


def _choose(files: list[File], set: str | None) -> Handin:
    """Of everything that one student handed in, what is graded."""
    student, system = files[0].student, files[0].system
    flags = [f"handed in late, {system} says"] if any(file.late for file in files) else []
    mine = [file for file in files if file.kind == ".ipynb"] or [file for file in files if file.kind == ".zip"]
    if system and not mine:
        names = " and ".join(file.name for file in files[:3])
        return Handin(student, files[0].path, tuple(flags), fault=f"what was handed in is {names[:300]}, which is no notebook; hand in the .ipynb file")
    mine = mine or files
    try:
        file, more = _one(mine, set)
        flags += more
        if file.kind == ".zip":
            file, more = _one_inside(file, set)
            flags += more
    except SubmissionError as error:
        return Handin(student, mine[0].path, tuple(flags), fault=str(error))
    return Handin(student, file.path, tuple(flags), file.place)


def _one(files: list[File], set: str | None) -> tuple[File, list[str]]:
    """The file that counts, and what to say of the others; raises SubmissionError where none is sound or nothing says which counts."""
    sound = [file for file in files if not file.fault]
    if not sound:
        raise SubmissionError(files[0].fault)
    named = [file for file in sound if file.stem == set] or sound
    newest = max(named, key=lambda file: file.upload)
    rivals = [file for file in named if file is not newest and (file.stem != newest.stem or not file.upload)]
    if rivals:
        raise SubmissionError(
            f"{newest.path} and {rivals[0].path} were both handed in and nothing says which counts; keep the one named {set or 'after the set'}.ipynb"
        )
    flags = [f"{len(named)} versions of one file were handed in; the newest counts: {newest.name}, upload {newest.upload}"] if len(named) > 1 else []
    left = [file.name for file in sound if file not in named]
    flags += [f"also handed in, and not graded: {', '.join(left[:5])}"] if left else []
    return newest, flags + [file.fault for file in files if file.fault]


def _one_inside(file: File, set: str | None) -> tuple[File, list[str]]:
    """The notebook that counts in an archive that a student packed; an archive in it is not opened."""
    with io.BytesIO(_read(file.place, file.path, PACKED)) as packed:
        listed = archives.entries(archives.open_archive(packed, file.path), file.path)
    inside = []
    for entry in listed:
        name = PurePosixPath(entry.name).name
        if name.lower().endswith(".ipynb") and not _hidden(part for part in PurePosixPath(entry.name).parts if part != ".."):
            place, fault = (*file.place, entry.index), str(entry.fault or "")
            inside.append(File(file.student, f"{file.path}/{entry.name}", file.source, place, name, "an archive", fault=fault))
    if not inside:
        deeper = any(entry.name.lower().endswith(".zip") for entry in listed)
        raise SubmissionError(f"{file.path} holds no notebook" + ("; an archive in an archive is not opened: hand in the notebook itself" if deeper else ""))
    return _one(inside, set)


def _read(place: tuple[Path | int, ...], where: str, limit: int) -> bytes:
    """The bytes of a file, of an entry of an archive, or of an entry of an archive in an archive."""
    path, *inside = place
    try:
        if not inside:
            with _ordinary(path) as file:
                if os.fstat(file.fileno()).st_size > limit:
                    raise SubmissionError(archives.too_large(where, os.fstat(file.fileno()).st_size, limit))
                return archives.bounded(file, where, limit)
        if len(inside) == 1:
            return archives.unpack(_opened(path, os.stat(path).st_mtime_ns), inside[0], where, limit)
        with io.BytesIO(_read(place[:-1], where, PACKED)) as packed:
            return archives.unpack(archives.open_archive(packed, where), inside[1], where, limit)
    except OSError as error:
        raise SubmissionError(f"{where} cannot be read: {error.strerror}; hand in the notebook itself") from None


@lru_cache(maxsize=2)
def _opened(path: Path, changed: int) -> zipfile.ZipFile:
    """An archive with its list parsed, kept for the next entry: parsing that of a large class takes longer than reading a notebook."""
    return archives.open_archive(open(path, "rb"), str(path))


def _ordinary(path: Path):
    """An open file; raises SubmissionError where it is a link or anything else that is no ordinary file."""
    if path.is_symlink():  # for the message; O_NOFOLLOW is what holds
        raise SubmissionError(f"{path} is a link; hand in the notebook itself")
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise SubmissionError(f"{path} is not a file; hand in the notebook itself")
    return open(handle, "rb")


def _hidden(parts: Iterable[str]) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in parts)

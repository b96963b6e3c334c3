"""Zip archives that nobody vouches for: every entry is sound or refused by name, and reading one holds no more than is asked for.

`zipfile` believes what an archive says of itself: it loads a list of entries of any size, two entries may share their bytes, names come in two
encodings. Here the list is bounded before it is parsed, and an entry that overlaps another, leaves the archive, is a link or a device, is locked with
a password, packed by a rare method, or bears a name twice is refused in one sentence while the others are read.
"""

import contextlib
import math
import re
import stat
import unicodedata
import zipfile
from collections import Counter
from dataclasses import dataclass
from typing import BinaryIO

from autograder.errors import SubmissionError

MEGABYTE = 2**20
ENTRIES = 20_000  # most entries of an archive
LIST = 8 * MEGABYTE  # largest list of entries, packed; parsed it takes some fifteen times that
LOCKED = 0x1  # flags of an entry: encrypted; name in UTF-8
UTF8 = 0x800
HEADER = 30  # bytes of an entry's own header before its name


@dataclass(frozen=True)
class Entry:
    """One file of an archive.

    Attributes:
        name: its path, `/` between parts, composed Unicode.
        index: its place in the archive's list.
        hostile: whether the name itself cannot be trusted to say where the file lies.
        fault: why it is refused, or None.
    """

    name: str
    index: int
    hostile: bool = False
    fault: SubmissionError | None = None


class _Frugal:
    """A file of which `zipfile` can read a list of entries of bounded size; the bound is lifted once the list is there."""

    def __init__(self, file: BinaryIO):
        self.file, self.limit = file, LIST
        self.seek, self.tell, self.seekable, self.close = file.seek, file.tell, file.seekable, file.close

    def read(self, size: int = -1) -> bytes:
        if self.limit is None:
            return self.file.read(size)
        content = self.file.read(min(size, self.limit + 1) if size >= 0 else self.limit + 1)
        if len(content) > self.limit:
            raise SubmissionError(f"its list of entries has {math.ceil(max(size, len(content)) / MEGABYTE)} MB; at most {LIST // MEGABYTE} are read")
        return content


def open_archive(file: BinaryIO, where: str) -> zipfile.ZipFile:
    """The archive in `file`, its list parsed; raises SubmissionError where it is none or has too many entries. `where` names it in messages."""
    frugal = _Frugal(file)
    try:
        archive = zipfile.ZipFile(frugal)
    except SubmissionError as error:
        raise SubmissionError(f"{where} is refused: {error}") from None
    except Exception as error:  # a list of entries can be broken in any way
        raise SubmissionError(f"{where} is not a zip archive that can be read ({error}); pack it again as an ordinary zip archive") from None
    frugal.limit = None
    if len(archive.infolist()) > ENTRIES:
        raise SubmissionError(f"{where} has {len(archive.infolist())} entries; an archive may have at most {ENTRIES}")
    return archive


def entries(archive: zipfile.ZipFile, where: str) -> list[Entry]:
    """Every file of an archive, folders left out, each with the reason for which it is refused or none."""
    infos = archive.infolist()
    names = [_name(info) for info in infos]
    twice = Counter(_folded(name) for name, info in zip(names, infos, strict=True) if not info.is_dir())
    overlapping = _overlapping(archive)
    found = []
    for index, (name, info) in enumerate(zip(names, infos, strict=True)):
        if info.is_dir():
            continue
        hostile = _leaves(name) or "\0" in info.orig_filename
        why = "lies outside its archive; pack the file without its path" if hostile else _fault(info, index in overlapping)
        if not why and twice[_folded(name)] > 1:
            why = "stands in its archive more than once, capitals aside; pack it once"
        found.append(Entry(name, index, hostile, SubmissionError(f"{where}/{name} {why}") if why else None))
    return found


def unpack(archive: zipfile.ZipFile, index: int, where: str, limit: int) -> bytes:
    """The bytes of a sound entry; raises SubmissionError where there are more than `limit`, whatever the archive says, or none can be had."""
    info = archive.infolist()[index]
    if info.file_size > limit:
        raise SubmissionError(too_large(where, info.file_size, limit))
    try:
        with archive.open(info) as file:
            return bounded(file, where, limit)
    except SubmissionError:
        raise
    except Exception as error:  # every decompressor has errors of its own
        raise SubmissionError(f"{where} cannot be unpacked ({error}); pack it again as an ordinary zip archive") from None


def bounded(file: BinaryIO, where: str, limit: int) -> bytes:
    """The whole of a file; raises SubmissionError where it has more than `limit` bytes."""
    content = file.read(limit + 1)
    if len(content) > limit:
        raise SubmissionError(too_large(where, len(content), limit))
    return content


def too_large(where: object, size: int, limit: int) -> str:
    return f"{where} has {math.ceil(size / MEGABYTE)} MB; at most {limit // MEGABYTE} are read; clear the notebook's outputs and save it again"


def _name(info: zipfile.ZipInfo) -> str:
    """An entry's name: zipfile reads one without the flag of UTF-8 as cp437, but macOS and Canvas write UTF-8 and set no flag."""
    name = info.filename
    if not info.flag_bits & UTF8:
        with contextlib.suppress(UnicodeError):  # it is cp437, or an encoding of which nothing is known
            name = name.encode("cp437").decode("utf-8")
    return unicodedata.normalize("NFC", name.replace("\\", "/"))


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name.casefold())


def _leaves(name: str) -> bool:
    return name.startswith("/") or re.match("[A-Za-z]:", name) is not None or ".." in name.split("/")


def _fault(info: zipfile.ZipInfo, overlaps: bool) -> str:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "is a link; hand in the file itself"
    if kind not in (0, stat.S_IFREG):
        return "is not an ordinary file; hand in the notebook itself"
    if info.flag_bits & LOCKED:
        return "is locked with a password; pack it without one"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # the others ask for memory as they like
        return "is packed by another method than deflate; pack it as an ordinary zip archive"
    return "shares its bytes with another entry, as in a zip bomb; pack it as an ordinary zip archive" if overlaps else ""


def _overlapping(archive: zipfile.ZipFile) -> set[int]:
    """The places of entries whose bytes reach into those of another one, or into the list of entries."""
    order = sorted(range(len(archive.infolist())), key=lambda index: archive.infolist()[index].header_offset)
    found, last, reach = set(), None, -1
    for index in order:
        info = archive.infolist()[index]
        if info.header_offset < reach:
            found |= {last, index}
        end = info.header_offset + HEADER + len(info.orig_filename) + info.compress_size
        if end > archive.start_dir:
            found.add(index)
        if end > reach:
            last, reach = index, end
    return found

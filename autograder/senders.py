"""Whose a file is, by its name: nbgrader's folders, and the names that Canvas and Moodle give to what students hand in.

The names are taken from the systems' sources: Canvas's `content_zipper.rb` (`doejane` or `anon_` and five characters, `LATE`, the numbers of user and
upload, the student's own name for the file, to which Canvas adds `-1`, `-2` ... where it was used before) and Moodle's `downloader.php`
(`<full name>_<number>_assignsubmission_<kind>`, a folder or the beginning of a file's name).
"""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

CANVAS = re.compile(
    r"(?:(?P<blind>LATE_)?(?P<anonymous>anon_[A-Za-z0-9]{5})|(?P<name>.+?)_(?P<late>LATE_)?(?P<user>\d{1,18}))_"
    r"(?:(?P<upload>\d{1,18})_(?P<file>.+)|(?:text|link)\.html)",
    re.DOTALL,
)
VERSION = re.compile(r"-(\d{1,2}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$")  # what Canvas adds to a name used before
MOODLE = re.compile(r"(?P<student>.+?)_assignsubmission_[a-z]+(?:_(?P<file>.*))?", re.DOTALL)


@dataclass(frozen=True)
class File:
    """A file that may be a student's.

    Attributes:
        student: whose it is; empty where that cannot be known, and then `fault` says why.
        source: the path given to `gather` below which it lies.
        name: as the student named it.
        system: the learning management system that named the student, if one did.
        upload: Canvas's number of the upload, which grows.
    """

    student: str
    path: str
    source: Path
    place: tuple[Path | int, ...]
    name: str
    system: str = ""
    upload: int = 0
    late: bool = False
    fault: str = ""

    @property
    def kind(self) -> str:
        return PurePosixPath(self.name.lower()).suffix

    @property
    def stem(self) -> str:
        stem = PurePosixPath(self.name).stem
        return VERSION.sub("", stem) if self.system == "Canvas" else stem


def sender(parts: tuple[str, ...], below: tuple[str, ...], path: str, source: Path, place: tuple[Path | int, ...], set: str | None) -> File:
    """Whose a file is, by its name: `parts` is the whole of its path, `below` its last parts, those that Canvas may have named."""
    name, stem = parts[-1], PurePosixPath(parts[-1]).stem
    own_folder = len(parts) > 2 and parts[-2] == stem and set in (None, stem)  # <student>/<set>/<set>.ipynb
    for depth, part in enumerate(parts):  # the outermost that says it: folders below are the student's own
        last = depth + 1 == len(parts)
        if own_folder and part == "submitted" and depth + 4 == len(parts):
            break
        moodle = MOODLE.fullmatch(part)
        if moodle and (moodle["file"] or not last):
            return File(moodle["student"], path, source, place, moodle["file"] if last else name, "Moodle")
        canvas = CANVAS.fullmatch(part) if depth >= len(parts) - len(below) else None
        if canvas:
            student = canvas["anonymous"] or f"{canvas['name']}_{canvas['user']}"
            own = (canvas["file"] or name) if last else name
            return File(student, path, source, place, own, "Canvas", int(canvas["upload"] or 0), bool(canvas["late"] or canvas["blind"]))
    if own_folder:
        return File(parts[-3], path, source, place, name)
    return File(parts[-2] if len(parts) > 1 and stem == set else stem, path, source, place, name)


def wanted(parts: tuple[str, ...], set: str | None) -> bool:
    """False for a file that lies in nbgrader's layout, `submitted/<student>/<set>/`, and is not the set's own notebook."""
    return set is None or "submitted" not in parts[-6:-3] or (parts[-4] == "submitted" and parts[-2:] == (set, f"{set}.ipynb"))


def canvas_number(student: str, path: str) -> str:
    """Canvas's number of a student whose id came from a name of Canvas's in the path; empty where it did not."""
    for part in PurePosixPath(path).parts:
        canvas = CANVAS.fullmatch(part)
        if canvas and canvas["user"] and student == f"{canvas['name']}_{canvas['user']}":
            return canvas["user"]
    return ""

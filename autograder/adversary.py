"""The student's process: runs the cells of a notebook and then answers calls of its functions.

It starts inside the sandbox, knows no secret, and imports nothing of the kit but the protocol, which lies beside it.

Started as `python adversary.py FD EDITION LIMITS`, with FD one side of a socket pair, EDITION the folder of the students' edition and LIMITS a JSON object.
"""

import contextlib
import ctypes
import io
import json
import os
import random
import resource
import socket
import struct
import sys
import types
import warnings

from protocol import Patience, StudentEnd, describe, join, receive, send

SYSTEM_CALLS = {  # name -> number on x86_64, on aarch64
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "bind": (49, 200),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "tkill": (200, 130),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "vmsplice": (278, 75),
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "pidfd_send_signal": (424, 424),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "prlimit64": (302, 261),
    "open_by_handle_at": (304, 265),
    "mknod": (133, None),
    "mknodat": (259, 33),
}
ARCHITECTURES = {  # column above, audit id, clone, clone3, kill and tgkill
    "x86_64": (0, 0xC000003E, 56, 435, (62, 234)),
    "aarch64": (1, 0xC00000B7, 220, 435, (129, 131)),
}


def seccomp_program(machine: str, process: int) -> bytes:
    """The filter as classic BPF: EPERM for SYSTEM_CALLS, clone of anything but a thread, and signals to any process but `process`; ENOSYS for clone3."""
    column, audit, clone, clone3, kills = ARCHITECTURES[machine]
    allow, kill, refuse = 0x7FFF0000, 0x80000000, 0x00050000
    eperm, enosys, load, equal, at_least, set_, give = refuse | 1, refuse | 38, 0x20, 0x15, 0x35, 0x45, 0x06
    program = [(load, 0, 0, 4), (equal, 1, 0, audit), (give, 0, 0, kill), (load, 0, 0, 0)]
    program += [(at_least, 0, 1, 0x40000000), (give, 0, 0, eperm)]  # the x32 calls
    for number in sorted(pair[column] for pair in SYSTEM_CALLS.values() if pair[column] is not None):
        program += [(equal, 0, 1, number), (give, 0, 0, eperm)]
    program += [(equal, 0, 1, clone3), (give, 0, 0, enosys)]
    program += [(equal, 0, 4, clone), (load, 0, 0, 16), (set_, 1, 0, 0x00010000), (give, 0, 0, eperm), (give, 0, 0, allow)]  # CLONE_THREAD
    for number in kills:
        program += [(equal, 0, 4, number), (load, 0, 0, 16), (equal, 1, 0, process), (give, 0, 0, eperm), (give, 0, 0, allow)]
    program += [(give, 0, 0, allow)]
    return b"".join(struct.pack("HBBI", *instruction) for instruction in program)


def lock_down() -> None:
    """No new privileges, then the filter: the last step before the student's code."""
    libc = ctypes.CDLL(None, use_errno=True)
    code = seccomp_program(os.uname().machine, os.getpid())
    buffer = ctypes.create_string_buffer(code)
    program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program, 0, 0):
        raise OSError(ctypes.get_errno(), "the system-call filter could not be installed")


def limit(cpu: int, memory: int, file_size: int) -> None:
    """Hard limits of CPU seconds, bytes of address space and bytes a file; no core dumps, 256 descriptors."""
    for kind, value in (
        (resource.RLIMIT_CPU, cpu),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, file_size),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_NPROC, 1024),
    ):
        resource.setrlimit(kind, (value, value))


class Notebook(StudentEnd):
    """The notebook's namespace behind the pipe. `!start` and `!cell` are the challenger's; every other name is a function of the student's."""

    def __init__(self):
        from IPython.core.inputtransformer2 import TransformerManager

        module = types.ModuleType("__main__")
        super().__init__(module.__dict__)
        sys.modules["__main__"] = module
        self.transform = TransformerManager().transform_cell
        shell = types.SimpleNamespace(run_line_magic=_nothing, run_cell_magic=_nothing, system=_nothing, getoutput=_nothing)
        module.__dict__.update(get_ipython=lambda: shell, display=_nothing)

    def resolve(self, name: str):
        own = {"!start": self.start, "!cell": self.cell}
        return own[name] if name in own else super().resolve(name)

    def start(self, seed: int) -> None:
        """Seeds the global generators, which the student's code may use."""
        import numpy as np
        import torch

        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)

    def cell(self, source: str) -> str:
        """Runs one cell; returns what it raised, or nothing."""
        try:
            code = compile(self.transform(source), "<cell>", "exec")
            exec(code, self.namespace)
        except BaseException as error:
            return ": ".join(describe(error))
        return ""


def _nothing(*args, **kwargs):
    return None


def main() -> None:
    descriptor, edition, limits = int(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
    stream = socket.socket(fileno=descriptor)
    limit(limits["cpu"], limits["memory"], limits["file_size"])
    sys.path[0] = edition
    warnings.simplefilter("ignore")
    import torch

    torch.set_num_threads(1)
    notebook = Notebook()
    join(notebook, stream)
    if limits["lock_down"]:
        lock_down()
    sys.stdin, sys.stdout, sys.stderr = io.StringIO(), open(os.devnull, "w"), open(os.devnull, "w")  # noqa: SIM115
    patience = Patience()
    with contextlib.suppress(EOFError):
        while True:
            send(stream, notebook.serve(receive(stream, patience)), patience)
    os._exit(0)


if __name__ == "__main__":
    main()

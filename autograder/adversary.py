"""The students' processes: a warm one that has imported what notebooks need and holds no secret, and one forked from it for every start of a submission.

It starts inside the sandbox and imports nothing of the kit but the protocol and the confinement, which lie beside it.

Started as `python adversary.py FD SETTINGS`: FD is one side of a socket pair that keeps messages apart, SETTINGS a JSON object with the sandbox `level`,
the folder of the students' `edition`, what to `import`, at level 3 what of /tmp is `kept`, and at level 2 what is `readable` and `listable`, the `user`
to become and whether some of that lies in folders `closed` to it. Every message on FD carries the limits of one process and two descriptors: the side of a
socket on which that process serves calls, and one that tells of its life: its first message bears its credentials, the last one, from whoever waits for it,
its exit status and CPU seconds.
"""

import contextlib
import gc
import io
import json
import os
import pkgutil
import random
import signal
import socket
import sys
import tempfile
import types
import warnings

import confinement
from protocol import BIND, End, Patience, StudentEnd, describe, join, receive, send


class Notebook(StudentEnd):
    """The notebook's namespace behind the pipe. `!start` and `!cell` are the challenger's; every other name is a function of the student's."""

    def __init__(self, transform):
        module = types.ModuleType("__main__")
        super().__init__(module.__dict__)
        sys.modules["__main__"] = module
        self.transform = transform
        shell = types.SimpleNamespace(run_line_magic=_nothing, run_cell_magic=_nothing, system=_nothing, getoutput=_nothing)
        module.__dict__.update(get_ipython=lambda: shell, display=_nothing)

    def resolve(self, name: str):
        own = {"!start": self.start, "!cell": self.cell}
        return own[name] if name in own else super().resolve(name)

    def start(self, seed: int) -> None:
        """Seeds the global generators, which the student's code may use."""
        random.seed(seed)
        if "numpy" in sys.modules:
            sys.modules["numpy"].random.seed(seed % 2**32)
        if "torch" in sys.modules:
            sys.modules["torch"].manual_seed(seed)

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


def warm_up(settings: dict):
    """Imports what notebooks need; returns what makes Python of a cell."""
    sys.path[0] = settings["edition"]
    warnings.simplefilter("ignore")
    for name in settings["import"]:
        with contextlib.suppress(ImportError, AttributeError):  # the notebook's own import will say what is missing
            pkgutil.resolve_name(name)  # a module, or what one imports when it is asked for
    if "torch" in sys.modules:
        torch = sys.modules["torch"]
        torch.set_num_threads(1)
        torch.manual_seed(0)  # imports, and with the product a look at the processor in /proc, once for all
        (torch.ones(2, 2) @ torch.ones(2, 2)).sum()
    from IPython.core.inputtransformer2 import TransformerManager

    transform = TransformerManager().transform_cell
    rehearse(transform)
    gc.collect()
    gc.freeze()
    confinement.take_large_pages()
    return transform


def rehearse(transform) -> None:
    """Serves what every student's process will be asked: what is done for the first time is done here, and not in every fork."""
    challenger = End()
    challenger.exchange = Notebook(transform).serve
    challenger.call("!start", 0)
    challenger.call("!cell", "%matplotlib inline\ndef f(x):\n    return x")
    challenger.call(BIND, {})
    for value in (1, 2.0, [3], sys.modules["numpy"].ones(2), *([sys.modules["torch"].ones(2)] if "torch" in sys.modules else [])):
        challenger.call("f", value)


def wait_for_student(stream: int, life: socket.socket, settings: dict, limits: dict, transform) -> None:
    """Makes namespaces, starts the student's process in them, and tells how it ended."""
    confinement.die_with_parent()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    level = settings["level"]
    if level == 3:
        data = os.path.join(settings["edition"], "data")
        confinement.own_namespaces(limits["storage"], data if os.path.isdir(data) else None, settings["kept"])
    threads = confinement.THREADS + (0 if level == 3 else confinement.threads_of(settings.get("user", os.geteuid())))
    child = os.fork()
    if child == 0:
        confinement.die_with_parent()
        confine_and_serve(stream, life, settings, limits | {"threads": threads}, transform)
    os.close(stream)
    _, status, usage = os.wait4(child, 0)
    life.send(json.dumps([os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime]).encode())


def confine_and_serve(stream: int, life: socket.socket, settings: dict, limits: dict, transform) -> None:
    """Gives up what a student may not have, then serves the calls of the challenger. Never returns."""
    try:
        level, folder = settings["level"], limits["folder"]
        for descriptor in range(3):
            os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
        os.chdir(folder)
        os.environ.update(dict.fromkeys(("HOME", "TMPDIR", "MPLCONFIGDIR", "IPYTHONDIR"), folder))
        tempfile.tempdir = folder
        sys.stdin, sys.stdout, sys.stderr = io.StringIO(), open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
        pipe = socket.socket(fileno=stream)
        notebook = Notebook(transform)
        join(notebook, pipe)
        first, second = sorted((stream, life.fileno()))
        for low, high in ((3, first), (first + 1, second), (second + 1, 1 << 16)):
            os.closerange(low, high)
        confinement.limit(limits["cpu"], limits["memory"], limits["file_size"], limits["threads"])
        if level == 3:
            confinement.drop_capabilities()
        if level == 2 and settings["user"] != os.geteuid():
            confinement.become(settings["user"], settings["closed"])
        if level == 2:
            confinement.restrict_files(settings["readable"], settings["listable"], [folder])
        if level > 0:
            confinement.refuse_system_calls(metadata=level == 2)
        life.send(b"ready")  # its credentials tell the challenger which process this is
        life.close()
    except BaseException as error:
        with contextlib.suppress(OSError):
            life.send(json.dumps({"error": f"{type(error).__name__}: {error}"}).encode())
        os._exit(1)
    patience = Patience()
    with contextlib.suppress(EOFError):
        while True:
            send(pipe, notebook.serve(receive(pipe, patience)), patience)
    os._exit(0)


def main() -> None:
    control, settings = socket.socket(fileno=int(sys.argv[1])), json.loads(sys.argv[2])
    confinement.die_with_parent()
    transform = warm_up(settings)
    if settings["level"] > 0:
        confinement.prctl(4, 0)  # not dumpable: no other process of this user reads its memory
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # whoever waits for a student is not waited for
    control.send(b"ready")
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1 << 16, 2)
        if not message:
            return
        stream, life = descriptors
        if os.fork() == 0:
            control.close()
            life = socket.socket(fileno=life)
            try:
                wait_for_student(stream, life, settings, json.loads(message), transform)
            except BaseException as error:
                life.send(json.dumps({"error": f"{type(error).__name__}: {error}"}).encode())
            os._exit(0)
        os.close(stream)
        os.close(life)


if __name__ == "__main__":
    main()

"""What the student's process can and cannot do, tried from inside."""

import os
import subprocess
import sys
import textwrap
import time

import pytest

from autograder import sandbox
from autograder.errors import KitError
from autograder.protocol import End, StudentError, join
from autograder.sandbox import Limits


@pytest.fixture(scope="module")
def edition(tmp_path_factory):
    folder = tmp_path_factory.mktemp("edition")
    folder.chmod(0o755)
    (folder / "backdoors").mkdir()
    (folder / "backdoors" / "__init__.py").write_text("__edition__ = 'here'\n")
    (folder / "data").mkdir()
    (folder / "data" / "numbers.txt").write_text("1 2 3\n")
    return folder


def started(edition, **limits):
    process = sandbox.start(edition, sandbox.require(3), Limits(**limits))
    end = End()
    join(end, process.stream)
    return end, process


@pytest.fixture(scope="module")
def inside(edition):
    """Runs code in one sandboxed process and returns what its function `f` returns."""
    end, process = started(edition)

    def run(code: str):
        assert end.call("!cell", textwrap.dedent(code)) == ""
        return end.call("f")

    yield run
    process.kill()


def test_the_probe_finds_level_3():
    assert sandbox.probe() == (3, "")


@pytest.mark.parametrize(
    "attempt",
    [
        "os.fork()",
        "subprocess.run(['/bin/true'])",
        "os.execv('/bin/true', ['true'])",
        "os.posix_spawn('/bin/true', ['true'], {})",
        "multiprocessing.Process(target=print).start()",
        "socket.socket()",
        "socket.socketpair()",
        "os.kill(1, 9)",
        "os.kill(-1, 9)",
        "os.mount('a') if hasattr(os, 'mount') else libc_call('mount', b'none', b'/tmp', b'tmpfs', 0, None)",
        "libc_call('unshare', 0x10000000)",
        "libc_call('ptrace', 16, 1, 0, 0)",
        "libc_call('memfd_create', b'x', 0)",
        "libc_call('setuid', 0)",
        "libc_call('shmget', 1, 1 << 20, 0o1666)",
        "open('/usr/lib/x', 'w')",
        "open('/edition/backdoors/__init__.py', 'w')",
        "open('/tmp/data/numbers.txt', 'w')",
        "os.listdir('/proc/1/root/')",
        "open('/proc/1/environ').read()",
        "open('/proc/1/mem', 'rb').read(1)",
        "resource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
        "__import__('autograder')",
        "os.chroot('/tmp')",
    ],
)
def test_it_is_refused(inside, attempt):
    refused = inside(f"""
        import ctypes, multiprocessing, os, resource, socket, subprocess
        def libc_call(name, *args):
            if getattr(ctypes.CDLL(None, use_errno=True), name)(*args) == -1:
                raise OSError(ctypes.get_errno(), name)
        def f():
            try:
                {attempt}
            except (OSError, ImportError, ValueError) as error:
                return type(error).__name__
    """)
    assert refused in ("PermissionError", "OSError", "ModuleNotFoundError", "ValueError", "FileNotFoundError")


def test_it_can_work(inside):
    assert inside("""
        import os, threading, tempfile, torch, numpy, scipy.stats, backdoors
        def f():
            thread = threading.Thread(target=lambda: None)
            thread.start()
            thread.join()
            with tempfile.TemporaryFile() as file:
                file.write(b"x" * 1000)
            return [backdoors.__edition__, open("data/numbers.txt").read(), float((torch.ones(50, 50) @ torch.ones(50, 50)).sum()), os.getuid()]
    """) == ["here", "1 2 3\n", 125_000.0, 65534]


def test_it_sees_no_other_place(inside):
    found = inside("""
        import os
        def f():
            return [sorted(os.listdir("/")), sorted(os.environ), [name for name in os.listdir("/proc") if name.isdigit()], os.listdir("/tmp")]
    """)
    assert set(found[0]) <= {
        "adversary",
        "bin",
        "dev",
        "edition",
        "etc",
        "lib",
        "lib64",
        "proc",
        "tmp",
        "usr",
        *os.path.realpath(sys.prefix).split("/"),
        *sys.base_prefix.split("/"),
    }
    assert not any("SECRET" in name for name in found[1])
    assert len(found[2]) <= 3
    assert set(found[3]) <= {"data", *sys.prefix.split("/"), *sys.base_prefix.split("/")}
    assert inside(f"import os\ndef f(): return os.path.exists({str(sandbox.HERE)!r})") is False


def test_memory_is_limited(inside):
    assert (
        inside("""
        def f():
            kept = []
            try:
                while True:
                    kept.append(bytearray(1 << 28))
            except MemoryError:
                return len(kept) << 28
    """)
        < Limits().memory
    )


def test_disks_are_limited(inside):
    written = inside("""
        import os
        def f():
            total = 0
            for place in ("/tmp", "/dev/shm"):
                try:
                    for number in range(1000):
                        with open(f"{place}/{number}", "wb") as file:
                            for _ in range(1000):
                                total += file.write(bytes(1 << 20))
                except OSError:
                    pass
            return total
    """)
    assert written <= 2 * Limits().storage


def test_cpu_is_limited_and_the_death_is_explained(edition):
    end, process = started(edition, cpu=4)
    end.call("!cell", "def f():\n    while True: pass")
    with pytest.raises(EOFError):
        end.call("f")
    assert "CPU limit" in process.died_of()
    process.kill()


def test_cpu_is_counted_from_outside(edition):
    end, process = started(edition)
    end.call("!cell", "")  # it has started
    before = process.cpu()
    end.call("!cell", "import time\nstart = time.process_time()\nwhile time.process_time() < start + 1: pass")
    assert process.cpu() - before == pytest.approx(1, abs=0.3)
    process.kill()


def test_nothing_outlives_the_challenger(edition):
    start = f"sandbox.start(Path({str(edition)!r}), 3, sandbox.Limits())"
    code = f"from autograder import sandbox; from pathlib import Path; p = {start}; print(p.process.pid, flush=True)"
    pid = int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    for _ in range(100):
        if not os.path.exists(f"/proc/{pid}"):
            return
        time.sleep(0.05)
    pytest.fail(f"process {pid} is still there 5 s after its parent ended")


def test_a_process_that_left_is_explained(edition):
    end, process = started(edition)
    end.call("!cell", "import os\ndef f(): os._exit(0)")
    with pytest.raises(EOFError):
        end.call("f")
    assert process.died_of() == "leaving the process"
    process.kill()


def test_a_machine_without_a_sandbox_is_refused(monkeypatch):
    monkeypatch.setattr(sandbox, "probe", lambda: (0, "bubblewrap is not installed"))
    with pytest.raises(KitError, match="bubblewrap is not installed.*--unsandboxed"):
        sandbox.require(2)
    assert sandbox.require(0) == 0


def test_an_error_in_a_cell_is_told(inside, edition):
    end, process = started(edition)
    assert end.call("!cell", "1 / 0") == "ZeroDivisionError: division by zero"
    assert end.call("!cell", "%matplotlib inline\n!ls\nx = 1") == ""
    assert "SyntaxError" in end.call("!cell", "def f(:")
    with pytest.raises(StudentError, match="defines no f"):
        end.call("f")
    process.kill()

"""What the student's process can and cannot do, tried from inside."""

import os
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from autograder import confinement, sandbox, scratch
from autograder.challenging import Clock
from autograder.errors import KitError
from autograder.protocol import End, StudentError, join
from autograder.sandbox import Limits, Warm

BOUND = {*sys.prefix.split("/"), *sys.base_prefix.split("/")}  # folders on the way to the environment, which may lie in /tmp


@pytest.fixture(scope="module")
def edition(tmp_path_factory):
    folder = tmp_path_factory.mktemp("edition")
    folder.chmod(0o755)
    (folder / "backdoors").mkdir()
    (folder / "backdoors" / "__init__.py").write_text("__edition__ = 'here'\n")
    (folder / "data").mkdir()
    (folder / "data" / "numbers.txt").write_text("1 2 3\n")
    return folder


def skip_without(level: int) -> None:
    if level == 2 and sandbox.probe(2)[0] < 2:
        pytest.skip(f"level 2 does not hold here: {sandbox.probe(2)[1]}")


@pytest.fixture(scope="module", params=[3, 2], ids=["level 3", "level 2"])
def warm(request, edition):
    """A warm process at each level."""
    skip_without(request.param)
    started = Warm(edition, sandbox.require(request.param, request.param), ("numpy", "torch", "scipy.stats", "backdoors"))
    yield started
    started.close()


def forked(warm, **limits):
    process, end = warm.fork(Limits(**limits)), End()
    join(end, process.stream)
    return end, process


@pytest.fixture
def inside(warm):
    """Runs code in one sandboxed process and returns what its function `f` returns."""
    end, process = forked(warm)

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
        "os.kill(3 - min(os.getpid(), 2), 9)",  # 1, or 2 where it is 1 itself
        "os.kill(-1, 9)",
        "libc_call('mount', b'none', b'/tmp', b'tmpfs', 0, None)",
        "libc_call('unshare', 0x10000000)",
        "libc_call('ptrace', 16, 1, 0, 0)",
        "libc_call('memfd_create', b'x', 0)",
        "libc_call('setuid', 0)",
        "libc_call('shmget', 1, 1 << 20, 0o1666)",
        "open('/usr/lib/x', 'w')",
        "open('/edition/backdoors/__init__.py', 'w')",
        "open(__import__('backdoors').__file__, 'w')",
        "open('data/numbers.txt', 'w')",
        "os.truncate(__import__('backdoors').__file__, 0)",
        "os.open(__import__('backdoors').__file__, os.O_RDONLY | os.O_TRUNC)",
        "os.unlink(__import__('backdoors').__file__)",
        "os.rename(__import__('backdoors').__file__, 'mine')",
        "os.link(__import__('backdoors').__file__, 'mine')",
        "os.chmod(__import__('backdoors').__file__, 0o777)",
        "os.utime(__import__('backdoors').__file__)",
        "os.listdir(os.path.expanduser('~root'))",
        "open('/etc/passwd').read()",
        "os.setpriority(os.PRIO_PROCESS, 0, 19)",
        "os.sched_setaffinity(0, {0})",
        "libc_call('prctl', 1, 0, 0, 0, 0)",
        "libc_call('inotify_init1', 0)",
        "os.kill(os.getppid(), 0)",
        "open('x' * 300 + '/../escape', 'w')",
        "os.listdir('/proc/1/root/')",
        "open('/proc/1/environ').read()",
        "open('/proc/1/mem', 'rb').read(1)",
        "resource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
        "__import__('autograder')",
        "os.chroot('/tmp')",
        "fcntl.fcntl(3, fcntl.F_SETOWN, os.getpid())",  # who owns a descriptor is sent the signal of F_SETSIG, whatever kill refuses
        "fcntl.fcntl(3, 10, 9)",
        "fcntl.ioctl(3, 0x8901, bytes(4))",
        "fcntl.ioctl(os.open('/usr', 0), 0x80086601, bytes(8))",
        "fcntl.fcntl(os.open(os.__file__, 0), fcntl.F_SETLEASE, fcntl.F_RDLCK)",
        "fcntl.fcntl(os.open('/usr', 0), fcntl.F_NOTIFY, 1)",
        "libc_call('syscall', {'x86_64': 206}.get(os.uname().machine, 0), 1000, ctypes.byref(ctypes.c_ulong()))",  # io_setup
        "[libc_call('timer_create', 1, struct.pack('QiiQ40x', 0, 0, 1, 0), ctypes.byref(ctypes.c_ulong())) for _ in range(2000)]",
        "os.listdir('/proc/self/task')",
        "open('/proc/self/mem', 'rb')",
    ],
)
def test_it_is_refused(inside, attempt):
    refused = inside(f"""
        import ctypes, fcntl, multiprocessing, os, resource, socket, struct, subprocess
        def libc_call(name, *args):
            if getattr(ctypes.CDLL(None, use_errno=True), name)(*args) == -1:
                raise OSError(ctypes.get_errno(), name)
        def f():
            try:
                {attempt}
            except (OSError, ImportError, ValueError) as error:
                return type(error).__name__
    """)
    assert refused in ("PermissionError", "OSError", "ModuleNotFoundError", "ValueError", "FileNotFoundError", "BlockingIOError")


def test_it_can_work(inside, warm):
    user = sandbox.NOBODY if warm.level == 3 or os.geteuid() == 0 else os.geteuid()
    assert inside("""
        import os, pathlib, threading, tempfile, torch, numpy, scipy.stats, scipy.signal, backdoors
        def f():
            thread = threading.Thread(target=lambda: None)
            thread.start()
            thread.join()
            with tempfile.TemporaryFile() as file:
                file.write(b"x" * 1000)
            pathlib.Path("mine").write_text("1")
            pathlib.Path("mine").rename("renamed")
            pathlib.Path("renamed").unlink()
            return [backdoors.__edition__, open("data/numbers.txt").read(), float((torch.ones(50, 50) @ torch.ones(50, 50)).sum()), os.getuid()]
    """) == ["here", "1 2 3\n", 125_000.0, user]


def test_it_sees_no_other_place(inside, warm):
    found = inside("""
        import os
        def f():
            def names(place):
                try:
                    return sorted(os.listdir(place))
                except OSError:
                    return []
            return [names("/"), sorted(os.environ), names("/proc"), names("/tmp"), names("/dev/shm"), names(".")]
    """)
    assert set(found[0]) <= {"adversary", "bin", "dev", "edition", "etc", "lib", "lib64", "proc", "tmp", "usr"} | BOUND
    assert not any("SECRET" in name for name in found[1])
    assert found[2] == found[4] == []
    assert set(found[3]) <= {"data"} | BOUND
    assert {"data"} <= set(found[5]) <= {"data"} | BOUND
    assert inside(f"def f():\n    try: open({str(sandbox.HERE / 'grading.py')!r})\n    except OSError: return 'no'") == "no"


def test_whoever_prints_a_lot_still_answers(inside):
    code = "import sys\ndef f():\n    for _ in range(1000):\n        print('x' * 1000)\n        print('y' * 1000, file=sys.stderr)\n    return 1"
    assert inside(code) == 1


def test_two_of_them_see_nothing_of_each_other(warm):
    first, one = forked(warm)
    second, two = forked(warm)
    write = "import os\ndef f():\n    open('left', 'w').write('x')\n    return [os.getcwd(), os.getpid()]"
    look = """
import os
def f(place, pid):
    try:
        if pid != os.getpid():
            os.kill(pid, 0)
        return os.listdir(place)
    except OSError:
        return ["data"]
"""
    first.call("!cell", write)
    second.call("!cell", look)
    assert set(second.call("f", *first.call("f"))) <= {"data"} | BOUND
    one.kill()
    two.kill()
    assert one.folder is None or not one.folder.exists()


def test_memory_is_limited_whatever_its_threads_do(inside):
    code = """
        import threading, torch
        def f():
            torch.set_num_threads(8)
            kept = []
            def hoard():
                try:
                    while True:
                        kept.append(torch.zeros(1 << 25))
                except (MemoryError, RuntimeError):
                    pass
            threads = [threading.Thread(target=hoard) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            return sum(t.numel() * 4 for t in kept)
    """
    assert (1 << 28) < inside(code) < Limits().memory


def test_threads_are_limited(inside):
    started = inside("""
        import threading
        def f():
            threading.stack_size(1 << 16)
            forever, count = threading.Event(), 0
            try:
                for count in range(5000):
                    threading.Thread(target=forever.wait, daemon=True).start()
            except RuntimeError:
                pass
            return count
    """)
    assert 100 < started <= 1200


def test_storage_is_limited_in_bytes_and_in_files(warm):
    end, process = forked(warm, storage=8 << 20)
    end.call(
        "!cell",
        """
import os
def fill():
    total = 0
    for place in (".", "/tmp", "/dev/shm"):
        try:
            for number in range(1000):
                with open(f"{place}/{number}", "wb") as file:
                    for _ in range(10):
                        total += file.write(bytes(1 << 20))
                if total > 64 << 20:
                    return total
        except OSError:
            pass
    return total
def files():
    try:
        for number in range(100_000):
            open(f"/tmp/empty{number}", "w").close()
    except OSError:
        return number
""",
    )
    written = end.call("fill")
    if warm.level == 3:
        assert written <= 3 * (8 << 20)
        assert end.call("files") <= confinement.INODES
    else:  # on a disk: seen from outside, and ended
        assert process.stored() >= written > 8 << 20
        clock = Clock(process, time.monotonic() + 60, 8 << 20)
        time.sleep(0.2)
        with pytest.raises(StudentError, match="filled more than 8 MB of disk"):
            clock.check()
    process.kill()


@pytest.mark.parametrize(
    "code",
    [
        "for name in range(20): os.mkdir('d' * 250), os.chdir('d' * 250)\nopen('x', 'wb').write(bytes(1 << 20))",
        "for name in range(1500): os.mkdir('d'), os.chdir('d')\nopen('x', 'wb').write(bytes(1 << 20))",
        "for name in range(12_000): open(str(name), 'w').close()",
        "os.mkdir('x', 0o300)\nopen('x/x', 'wb').write(bytes(9 << 20))",
    ],
    ids=["long paths", "deep trees", "many files", "closed folders"],
)
def test_no_folder_hides_files_from_the_limit_or_outlives_its_process(warm, code):
    end, process = forked(warm)
    try:
        said = end.call("!cell", f"import os\n{code}")
        if process.folder:  # level 3 gives it a file system of fixed size
            assert said == ""
            assert process.stored() >= 1 << 20
    finally:
        process.kill()
    assert process.folder is None or not process.folder.exists()


def test_a_file_that_is_deleted_and_still_mapped_fills_the_disk(warm):
    end, process = forked(warm)
    before = process.free()
    end.call("!cell", "import mmap\nwith open('x', 'w+b') as file:\n    file.write(bytes(40 << 20))\n    kept = mmap.mmap(file.fileno(), 4096)")
    end.call("!cell", "import os\nos.unlink('x')")
    if process.folder:
        assert process.stored() < 1 << 20
        assert before - process.free() > 20 << 20  # other processes may have freed some
    process.kill()


def test_what_a_killed_grader_left_is_deleted_however_deep(tmp_path):
    folder = tmp_path / f"{scratch.PREFIX}x"
    folder.mkdir()
    code = "import os\nfor _ in range(1500): os.mkdir('d'), os.chdir('d')"
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True)
    scratch.sweep(tmp_path)
    assert not folder.exists()


def test_the_kit_is_hidden_where_it_is_installed_in_the_system(edition, monkeypatch):
    place = next(path for path in sorted(Path("/usr/share").iterdir()) if path.is_dir() and any(entry.is_file() for entry in path.iterdir()))
    monkeypatch.setattr(sandbox, "_own_packages", lambda: [place])
    started = Warm(edition, sandbox.require(2, 2))
    end, process = forked(started)
    end.call("!cell", "import os\ndef f(path): return len(open(path, 'rb').read(1))")
    with pytest.raises(StudentError, match="PermissionError"):
        end.call("f", str(next(entry for entry in place.iterdir() if entry.is_file())))
    assert end.call("f", sys.executable) == 1
    process.kill()
    started.close()


def test_a_course_that_students_could_read_is_refused(tmp_path):
    sandbox.require_unseen(tmp_path)
    with pytest.raises(KitError, match="/usr/src lies in /usr, which students' processes can read: move the course somewhere else"):
        sandbox.require_unseen(Path("/usr/src"))
    with pytest.raises(KitError, match="move the course"):
        sandbox.require_unseen(Path(sys.prefix))


def test_cpu_is_limited_and_the_death_is_explained(warm):
    end, process = forked(warm, cpu=2)
    end.call("!cell", "def f():\n    while True: pass")
    with pytest.raises(EOFError):
        end.call("f")
    assert "CPU limit" in process.died_of()
    assert process.cpu() == pytest.approx(2, abs=0.5)
    process.kill()


def test_cpu_is_counted_from_outside(warm):
    end, process = forked(warm)
    end.call("!cell", "")  # it has started
    before = process.cpu()
    end.call("!cell", "import time\nstart = time.process_time()\nwhile time.process_time() < start + 1: pass")
    assert process.cpu() - before == pytest.approx(1, abs=0.3)
    process.kill()


@pytest.mark.parametrize("level", [3, 2, 0])
def test_nothing_outlives_the_challenger(edition, level):
    code = f"""
        import os
        from pathlib import Path
        from autograder.protocol import End, join
        from autograder.sandbox import Limits, Warm
        warm = Warm(Path({str(edition)!r}), {level})
        process, end = warm.fork(Limits()), End()
        join(end, process.stream)
        end.call("!cell", "def f():\\n    while True: pass")
        print(warm.process.pid, process.pid, flush=True)
        end.call("f")
    """
    running = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    pids = running.stdout.readline().split()
    running.kill()
    running.wait()
    assert len(pids) == 2
    for _ in range(100):
        if not any(os.path.exists(f"/proc/{pid}") for pid in pids):
            return
        time.sleep(0.05)
    pytest.fail(f"one of the processes {pids} is still there 5 s after their parent was killed")


def test_a_process_that_left_is_explained(warm):
    end, process = forked(warm)
    end.call("!cell", "import os\ndef f(): os._exit(0)")
    with pytest.raises(EOFError):
        end.call("f")
    assert process.died_of() == "leaving the process"
    process.kill()


def test_a_machine_without_a_sandbox_is_refused(monkeypatch):
    monkeypatch.setattr(sandbox, "probe", lambda most: (0, "bubblewrap is not installed"))
    with pytest.raises(KitError, match="bubblewrap is not installed.*--unsandboxed"):
        sandbox.require(2)
    assert sandbox.require(0) == 0


def test_level_2_is_found_where_bubblewrap_is_missing():
    skip_without(2)
    code = """
        from autograder import sandbox
        def missing():
            raise sandbox.KitError("no bubblewrap")
        sandbox._program = missing
        print(sandbox.probe())
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(2, 'level 3: no bubblewrap')"


def test_an_error_in_a_cell_is_told(warm):
    end, process = forked(warm)
    assert end.call("!cell", "1 / 0") == "ZeroDivisionError: division by zero"
    assert end.call("!cell", "%matplotlib inline\n!ls\nx = 1") == ""
    assert "SyntaxError" in end.call("!cell", "def f(:")
    with pytest.raises(StudentError, match="defines no f"):
        end.call("f")
    process.kill()


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("bwrap"), reason="only root can make another user and another home")
@pytest.mark.parametrize("level", [3, 2])
@pytest.mark.parametrize("user", [0, 12345])
def test_it_holds_for_root_and_for_an_ordinary_user_with_the_environment_in_a_private_home(user, level, tmp_path):
    skip_without(level)
    home = tmp_path / "home"
    (home / "venv").mkdir(parents=True)
    os.chown(home, user, user)
    home.chmod(0o700)
    code = f"""
        import os, sys
        from pathlib import Path
        from autograder import sandbox
        from autograder.protocol import End, join
        assert sys.prefix == {str(home / "venv")!r} and os.getuid() == {user}
        assert sandbox._try({level}) == "", sandbox._try({level})
        edition = Path(sys.argv[1])
        warm = sandbox.Warm(edition, {level}, ("torch",))
        process, end = warm.fork(sandbox.Limits()), End()
        join(end, process.stream)
        said = end.call("!cell", "import torch, scipy.stats\\ndef f(): return float(torch.ones(3).sum())")
        print(said or end.call("f"), sys.path if said else "")
    """
    edition = tmp_path / "work" / "edition"
    edition.mkdir(parents=True)
    edition.parent.chmod(0o755)
    os.chown(edition.parent, user, user)
    view = ["bwrap", "--dev-bind", "/", "/", "--cap-add", "ALL"]
    covered = set()
    for place in map(Path, (sys.base_prefix, sandbox.HERE.parent, edition.parent, home)):  # a folder of mode 0700 on the way to them is root's
        closed = next((parent for parent in reversed(place.parents) if not parent.stat().st_mode & 0o001), None)
        if closed and user:
            for parent in [parent for parent in reversed(place.parents) if parent.is_relative_to(closed) and parent not in covered]:
                view += ["--perms", "0755", "--tmpfs" if parent == closed else "--dir", str(parent)]
                covered.add(parent)
            view += ["--bind", str(place), str(place)]
    view += ["--bind", sys.prefix, str(home / "venv"), "--chdir", "/", "--setenv", "PYTHONPATH", str(sandbox.HERE.parent)]
    become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
    command = [*view, *become, str(home / "venv" / "bin" / "python"), "-c", textwrap.dedent(code), str(edition)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout == "3.0 \n", done.stderr

"""Who grades, and what becomes of workers that die, differ or are refused. A stand-in judges here; tests/autograder/test_resuming.py has the real one."""

import contextlib
import json
import os
import pickle
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from textwrap import dedent

import dask
import psutil
import pytest
from distributed import Client, Nanny, Scheduler, Security, SpecCluster

from autograder import grading, scheduling, storing
from autograder.course import ROOT
from autograder.errors import KitError
from autograder.grading import Result, Task
from autograder.reporting import Submission
from autograder.sandbox import Limits
from autograder.scheduling import Failure

SET = "ps05_smoothing"
SECRET, OTHER = bytes(range(32)), bytes(range(1, 33))
JUDGE = """\
    import os, signal, time
    from pathlib import Path
    from autograder import grading
    from autograder.reporting import Submission

    def judge(task, secret, limits, level, root):
        marks = Path(os.environ["MARKS"])
        (marks / f"{task.student}-{time.monotonic_ns()}-{os.getpid()}").touch()
        if task.student.startswith("killer"):
            os.kill(os.getpid(), signal.SIGKILL)
        if task.student.startswith("broken"):
            raise RuntimeError("a fault of the grader")
        if task.student.startswith("slow"):
            time.sleep(1)
        assert secret == bytes(range(32))
        return grading.Result(Submission(task.student, "", len(task.content), 9), 0.5, {})

    grading.judge = judge
    """


def tasks(*students):
    return [Task(SET, student, student.encode()) for student in students]


def expected(*students):
    return {student: Result(Submission(student, "", len(student), 9), 0.5, {}) for student in students}


def by_student(outcomes):
    return {task.student: outcome for task, outcome in outcomes}


@pytest.fixture
def basis():
    return storing.basis_of(SET, SECRET, Limits(), 0, ROOT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Holds a file that puts the stand-in into a worker, and a folder in which that leaves a mark for every submission that it is given."""
    folder = tmp_path_factory.mktemp("workers")
    (folder / "marks").mkdir()
    (folder / "stand_in.py").write_text(dedent(JUDGE))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MARKS", str(folder / "marks"))
        yield folder


@pytest.fixture
def stand_in(folder):
    for mark in (folder / "marks").iterdir():
        mark.unlink()
    return folder


def given(folder):
    """(student, process) for every time that a submission was given to a worker, in order of time."""
    marks = [path.name.rsplit("-", 2) for path in (folder / "marks").iterdir()]
    return [(student, process) for student, _, process in sorted(marks, key=lambda mark: int(mark[1]))]


def worker(folder, **environment):
    """The description of one worker process with the stand-in in it."""
    settings = {"nthreads": 1, "memory_limit": 0, "dashboard": False, "preload": [str(folder / "stand_in.py")], "local_directory": str(folder)}
    environment = {grading.SECRET_VARIABLE: f"hex:{SECRET.hex()}", "MARKS": str(folder / "marks")} | environment
    return {"cls": Nanny, "options": settings | {"env": environment, "silence_logs": 50}}


@contextlib.contextmanager
def cluster(*workers):
    """The address of a scheduler of these workers."""
    scheduler = {"cls": Scheduler, "options": {"dashboard": False, "host": "127.0.0.1", "port": 0}}
    with dask.config.set(scheduling.SETTINGS), SpecCluster(dict(enumerate(workers)), scheduler, silence_logs=50) as made:
        yield made.scheduler_address


@pytest.fixture(scope="module")
def workers(folder):
    """A scheduler with two workers that are fit and one that has another secret."""
    with cluster(worker(folder), worker(folder), worker(folder, **{grading.SECRET_VARIABLE: f"hex:{OTHER.hex()}"})) as address:
        yield address


def outcomes(address, basis, *students, say=lambda _: None):
    """What became of each student's submission on the workers of a scheduler."""
    return by_student(scheduling.run(tasks(*students), basis, SECRET, scheduler=address, insecure=True, say=say))


def test_one_worker_is_this_process_and_knows_no_dask(stand_in):
    code = (
        "import sys; exec(open(sys.argv[1]).read()); from autograder import scheduling, storing; from autograder.course import ROOT\n"
        "from autograder.sandbox import Limits; secret = bytes(range(32))\n"
        f"basis = storing.basis_of({SET!r}, secret, Limits(), 0, ROOT); tasks = [grading.Task({SET!r}, name, b'') for name in ('bob', 'broken', 'ann')]\n"
        "outcomes = list(scheduling.run(tasks, basis, secret)); print([(task.student, type(outcome).__name__) for task, outcome in outcomes])\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('dask', 'distributed')], os.getpid())"
    )
    done = subprocess.run([sys.executable, "-c", code, str(stand_in / "stand_in.py")], capture_output=True, text=True, check=True)
    found, rest = done.stdout.splitlines()
    assert found == "[('bob', 'Result'), ('broken', 'Failure'), ('ann', 'Result')]"
    modules, process = rest.rsplit(" ", 1)
    assert modules == "[]"
    assert {one for _, one in given(stand_in)} == {process}


def test_an_unfit_worker_is_named_and_the_others_do_its_work(stand_in, workers, basis):
    said = []
    assert outcomes(workers, basis, "ann", "slow1", "slow2", "bob", say=said.append) == expected("ann", "slow1", "slow2", "bob")
    ours, theirs = grading.fingerprint(SECRET), grading.fingerprint(OTHER)
    assert len(said) == 2  # the first line warns of the scheduler
    assert re.fullmatch(rf"the worker at tcp://\S+ is refused: its course secret has the fingerprint {theirs}, that of the run has {ours}", said[1])
    assert len({process for _, process in given(stand_in)}) == 2


def test_no_worker_has_two_submissions_and_the_secret_is_never_sent(stand_in, workers, basis, monkeypatch):
    sent, most, submit = [], [], Client.submit

    def watched(client, *work, **options):
        sent.append(pickle.dumps((work[1:], options)))
        most.append(len(client.futures))
        return submit(client, *work, **options)

    monkeypatch.setattr(Client, "submit", watched)
    names = [f"student{number}" for number in range(30)]
    assert outcomes(workers, basis, *names) == expected(*names)
    assert len(sent) == 33  # an examination for each worker
    assert max(most) <= 6  # what is given, and what has just been answered
    assert not any(form in message for message in sent for form in (SECRET, SECRET.hex().encode()))


def test_a_run_with_no_fit_worker_ends_with_every_reason(stand_in, workers, basis, monkeypatch):
    monkeypatch.setattr(scheduling, "ALONE", 1)
    other = replace(basis, versions=basis.versions | {"numpy": "1.0"})
    with pytest.raises(KitError, match="there has been no worker that may grade for .* s; run again to go on from what is done; the worker at ") as error:
        outcomes(workers, other, "ann", "bob")
    assert str(error.value).count("is refused: it has numpy") == 2
    assert str(error.value).count("is refused: its course secret has the fingerprint") == 1
    assert given(stand_in) == []


def test_a_submission_that_kills_three_workers_is_reported_and_no_other_one_suffers(stand_in, workers, basis):
    names = ["ann", "killer", "bob", "broken", "slow", "cem", "dan", "eve"]
    said = []
    found = outcomes(workers, basis, *names, say=said.append)
    assert found.pop("killer") == Failure("grading this submission ended 3 workers, and a person must look at it")
    assert found.pop("broken") == Failure("the grader failed on this submission, and a person must look at it: a fault of the grader")
    assert found == expected("ann", "bob", "slow", "cem", "dan", "eve")
    times = [student for student, _ in given(stand_in)]
    assert {name: times.count(name) for name in names} == dict.fromkeys(names, 1) | {"killer": 3}
    assert len({process for student, process in given(stand_in) if student == "killer"}) == 3
    assert sum("was lost while it graded the submission of 'killer'" in line for line in said) == 3


def test_a_worker_that_is_killed_costs_nothing(stand_in, workers, basis):
    names = ["slow1", "slow2", "ann", "bob"]

    over = threading.Event()

    def kill_the_first():
        while not (started := given(stand_in)) and not over.wait(0.02):
            pass
        if started:
            os.kill(int(started[0][1]), signal.SIGKILL)

    killer = threading.Thread(target=kill_the_first)
    killer.start()
    try:
        assert outcomes(workers, basis, *names) == expected(*names)
    finally:
        over.set()
        killer.join()
    assert len(given(stand_in)) == len(names) + 1


def test_a_wait_for_workers_is_told_and_ends_where_none_can_come(basis, monkeypatch):
    class Nobody:
        def nthreads(self):
            return {}

    monkeypatch.setattr(scheduling, "ALONE", 0.05)
    monkeypatch.setattr(scheduling, "POLL", 0.01)
    said = []
    with pytest.raises(KitError, match="there has been no worker that may grade for 0 s; run again"):
        list(scheduling._Crowd(Nobody(), tasks("ann"), basis, ROOT, said.append, patience=0.2).outcomes())
    assert said == ["there has been no worker that may grade for 0.05 s; waiting for one"]


def test_every_reason_to_refuse_a_worker_is_told(basis, monkeypatch):
    monkeypatch.setenv(grading.SECRET_VARIABLE, f"hex:{SECRET.hex()}")
    monkeypatch.setattr(scheduling.sandbox, "probe", lambda most: (min(most, 2), "no user namespaces"))
    assert scheduling.unfit(basis, ROOT) == ""
    assert scheduling.unfit(replace(basis, level=2), ROOT) == ""
    assert scheduling.unfit(replace(basis, level=3), ROOT) == "its sandbox holds level 2 and the run asks for 3 (no user namespaces)"
    older = basis.versions | {"torch": "1.0"}
    assert scheduling.unfit(replace(basis, versions=older), ROOT) == f"it has torch {basis.versions['torch']} and the run 1.0"
    assert "differ from those of the run" in scheduling.unfit(replace(basis, course="0" * 64), ROOT)
    monkeypatch.setenv(grading.SECRET_VARIABLE, "hex:zz")
    assert "something else than pairs of hexadecimal digits" in scheduling.unfit(basis, ROOT)


def test_a_worker_without_a_secret_is_refused_and_makes_none(basis, tmp_path, monkeypatch):
    monkeypatch.delenv(grading.SECRET_VARIABLE, raising=False)
    assert scheduling.unfit(basis, tmp_path) == "it has no course secret: set BACKDOORS_SECRET in its environment"
    assert list(tmp_path.iterdir()) == []


def require_a_key(processes):
    """Asserts that what these processes serve is on 127.0.0.1, and either TLS that asks for a certificate or a web server without pages."""
    places = {one.laddr for process in processes for one in process.net_connections("inet") if one.status == psutil.CONN_LISTEN}
    assert {place.ip for place in places} == {"127.0.0.1"}
    guarded = 0
    for place in places:
        said = b""
        with socket.create_connection(place, timeout=20) as line, contextlib.suppress(ConnectionError):
            line.sendall(b"GET /json/identity.json HTTP/1.0\r\n\r\n")
            said = line.recv(100)
        if said.startswith(b"HTTP"):
            assert said.split(b"\r\n")[0].endswith(b" 404 Not Found")
            continue
        stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        stranger.check_hostname, stranger.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(place, timeout=20) as line, pytest.raises(ssl.SSLError, match="certificate required"):
            stranger.wrap_socket(line).recv(100)
        guarded += 1
    assert guarded >= 3  # a scheduler and two workers


def test_workers_of_this_machine_take_nobody_elses_word_and_end_with_a_ctrl_c(stand_in, tmp_path):
    """Other users of the machine reach its ports. A Ctrl-C reaches every process of the terminal's group: what is done is kept, and nothing runs on."""
    (tmp_path / "submitted").mkdir()
    names = ["ann", "bob", *(f"slow{number}" for number in range(60))]
    for name in names:
        (tmp_path / "submitted" / f"{name}.ipynb").write_text(name)
    code = """
        import sys, distributed
        from autograder import commands
        made = distributed.LocalCluster
        distributed.LocalCluster = lambda **options: made(**options | {"preload": [sys.argv[1]]})
        if __name__ == "__main__":
            commands.main(sys.argv[2:])
        """
    (tmp_path / "main.py").write_text(dedent(code))
    command = [sys.executable, "main.py", str(stand_in / "stand_in.py"), "grade", SET, "submitted", "--out", "out", "--workers", "2"]
    environment = os.environ | {grading.SECRET_VARIABLE: f"hex:{SECRET.hex()}"}
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell's background job ignores it, and these tests may run in one
    run = subprocess.Popen(command, cwd=tmp_path, env=environment, start_new_session=True, preexec_fn=heard, stderr=subprocess.PIPE, text=True)
    while len(given(stand_in)) < 4 and run.poll() is None:
        time.sleep(0.02)
    assert run.poll() is None, run.stderr.read()
    family = psutil.Process(run.pid).children(recursive=True)
    require_a_key([psutil.Process(run.pid), *family])
    os.killpg(run.pid, signal.SIGINT)
    _, said = run.communicate(timeout=60)
    assert said == "autograder: stopped; what is done lies in out/results, and the same command goes on from there\n"
    assert run.returncode == 130
    assert 2 <= len(list((tmp_path / "out" / "results").iterdir())) < len(names)
    assert len(family) >= 2
    assert psutil.wait_procs(family, timeout=10)[1] == []


def test_a_scheduler_is_joined_with_the_certificates_of_dasks_configuration(stand_in, tmp_path, basis, monkeypatch):
    """The programs that docs/cluster.md starts, on 127.0.0.1."""
    keys = Security.temporary()
    (tmp_path / "cert.pem").write_text(keys.tls_ca_file)
    (tmp_path / "key.pem").write_text(keys.tls_worker_key)
    tls = {"ca-file": str(tmp_path / "cert.pem")}
    tls |= {role: {"cert": str(tmp_path / "cert.pem"), "key": str(tmp_path / "key.pem")} for role in ("client", "scheduler", "worker")}
    (tmp_path / "grading.yaml").write_text(json.dumps({"distributed": {"comm": {"require-encryption": True, "tls": tls}}}))
    environment = os.environ | {"DASK_CONFIG": str(tmp_path), grading.SECRET_VARIABLE: f"hex:{SECRET.hex()}"}
    dask_program, place = str(Path(sys.executable).with_name("dask")), str(tmp_path / "scheduler.json")
    common = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", place]
    quiet = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    scheduler = subprocess.Popen([dask_program, "scheduler", "--protocol", "tls", "--port", "0", *common], **quiet)
    one = ["--nthreads", "1", "--memory-limit", "0", "--local-directory", str(tmp_path), "--preload", str(stand_in / "stand_in.py")]
    grader = subprocess.Popen([dask_program, "worker", "--protocol", "tls", *one, *common], **quiet)
    try:
        while not Path(place).exists() and scheduler.poll() is None:
            time.sleep(0.05)
        address, said = json.loads(Path(place).read_text())["address"], []
        assert address.startswith("tls://127.0.0.1:")
        run = scheduling.run(tasks("ann", "bob"), basis, SECRET, scheduler=address, say=said.append)
        with pytest.raises(KitError, match="for tls:// Dask's configuration must name the certificates"):
            next(run)
        roles = {f"distributed.comm.tls.client.{kind}": tls["client"][kind] for kind in ("cert", "key")}
        with dask.config.set(roles | {"distributed.comm.tls.ca-file": tls["ca-file"]}):
            assert by_student(scheduling.run(tasks("ann", "bob"), basis, SECRET, scheduler=address, say=said.append)) == expected("ann", "bob")
        assert said == []
    finally:
        for process in (grader, scheduler):
            process.terminate()
            process.wait(30)


def test_a_scheduler_without_tls_is_refused_or_warned_of():
    with pytest.raises(KitError, match="runs code of their own as you.*accept this with --insecure-scheduler"):
        list(scheduling.run(tasks("ann"), None, SECRET, scheduler="tcp://127.0.0.1:1"))
    said = []
    scheduling.require_secure("tcp://127.0.0.1:1", True, said.append)
    scheduling.require_secure("tls://127.0.0.1:1", False, said.append)
    assert len(said) == 1
    assert said[0].startswith("warning: the scheduler tcp://127.0.0.1:1 is not reached by tls://: whoever reaches its port")


def test_a_course_that_is_changed_meanwhile_ends_the_run(basis):
    with pytest.raises(KitError, match=f"the course or the kit in {ROOT} was changed while it was graded with"):
        list(scheduling.run(tasks("ann"), replace(basis, course="0" * 64), SECRET))


def test_a_number_of_workers_below_one_is_refused(basis):
    with pytest.raises(KitError, match="workers must be at least 1, got 0"):
        list(scheduling.run(tasks("ann"), basis, SECRET, workers=0))


def test_a_scheduler_that_is_not_there_is_named(basis, monkeypatch):
    monkeypatch.setattr(scheduling, "CONNECT", 1)
    with pytest.raises(KitError, match="the scheduler tcp://127.0.0.1:9 cannot be reached"):
        outcomes("tcp://127.0.0.1:9", basis, "ann")

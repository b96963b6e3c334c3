"""Grading one submission or many: every one goes to a warm challenger, or to workers that keep one each, and comes back as a result."""

import atexit
import hashlib
import json
import logging
import os
import platform
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import cache, lru_cache
from importlib import import_module, metadata
from multiprocessing.connection import Pipe
from pathlib import Path

import backdoors
import msgpack
from tqdm import tqdm

from autograder import sandbox, submissions
from autograder.course import ROOT, Exercise, exercises, require_set
from autograder.errors import KitError
from autograder.reporting import Question, Report, Submission, load_submission
from autograder.sandbox import Limits

KIT = Path(__file__).resolve().parent
SECRET_FILE = "secret.key"
SECRET_VARIABLE = "BACKDOORS_SECRET"
DEFAULT_LIMITS = Limits()

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """One submission to be graded: the bytes that a student handed in, and how often an instructor had the inputs drawn anew."""

    problem_set: str
    student: str
    content: bytes
    reseed: int = 0


@dataclass(frozen=True)
class Result:
    """What grading one submission gave.

    Attributes:
        submission: the grade; its path is empty, and what hidden checks said is in it.
        seconds: wall time.
        checks: CPU seconds of the student's process and the challenger's, by check (`exercise.name`) and for running the notebook.
    """

    submission: Submission
    seconds: float = 0.0
    checks: dict[str, float] | None = None

    def to_json(self) -> dict:
        return asdict(self)

    @classmethod
    def from_json(cls, record: dict) -> "Result":
        """The result that `to_json` wrote; raises KeyError, TypeError or ValueError on anything else."""
        return cls(load_submission(record["submission"]), float(record["seconds"]), dict(record["checks"] or {}))


class EngineError(KitError):
    """No submission's fault: the grader of a set does not start."""


class Engine:
    """A warm challenger for one set at one sandbox level, in a process of its own. Serves one task at a time, from any thread.

    Raises:
        EngineError: where it does not start.
    """

    def __init__(self, problem_set: str, root: Path, level: int):
        self._lock = threading.Lock()
        self.connection, theirs = Pipe()
        single = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        environment = {name: value for name, value in os.environ.items() if name != SECRET_VARIABLE} | single
        command = [sys.executable, "-B", "-c", "from autograder.engine import main; main()", problem_set, str(root), str(level), str(theirs.fileno())]
        place = {"pass_fds": (theirs.fileno(),), "stdin": subprocess.DEVNULL, "env": environment, "cwd": KIT.parent}
        self.process = subprocess.Popen(command, start_new_session=True, **place)  # a Ctrl-C is for whoever started us
        theirs.close()
        try:
            said = json.loads(self.connection.recv_bytes())
        except EOFError:
            said = {"error": "its process ended"}
        if "error" in said:
            self.close()
            raise EngineError(f"the grader of {problem_set} could not start: {said['error']}")

    def judge(self, task: Task, secret: bytes, limits: Limits) -> Result:
        """Raises EOFError where the engine's process is gone, and KitError where its challenger ended while it graded this submission."""
        message = msgpack.packb(asdict(task) | {"secret": secret, "limits": asdict(limits)})
        with self._lock:
            try:
                self.connection.send_bytes(message)
                answer = json.loads(self.connection.recv_bytes())
            except OSError as error:
                raise EOFError("the grader's process is gone") from error
        if "failed" in answer:
            raise KitError(answer["failed"])
        return Result.from_json(answer)

    def close(self) -> None:
        self.connection.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


_engines: dict[tuple, Engine] = {}


def _engine(problem_set: str, root: Path, level: int) -> Engine:
    """The engine of a set as the course stands now; one that was started before a change is ended."""
    digest = course_digest(problem_set, root)
    for key in [key for key in _engines if key[:3] == (problem_set, root, level) and key[3] != digest]:
        _engines.pop(key).close()
    key = (problem_set, root, level, digest)
    if key not in _engines:
        _engines[key] = Engine(problem_set, root, level)
    return _engines[key]


@atexit.register
def _close_engines() -> None:
    while _engines:
        _engines.popitem()[1].close()


def judge(task: Task, secret: bytes, limits: Limits, level: int, root: Path = ROOT) -> Result:
    """The result of one task, by an engine that stays warm for the next.

    Raises:
        KitError: where the engine cannot be started, dies twice over one submission, or its challenger dies over it.
    """
    for _ in range(2):
        engine = _engine(task.problem_set, Path(root), level)
        try:
            return engine.judge(task, secret, limits)
        except EOFError:
            engine.close()
            for key in [key for key, one in _engines.items() if one is engine]:
                del _engines[key]
    raise KitError(f"the grader's own process ended twice while it graded the submission of {task.student!r}; is the machine out of memory?")


def unreadable(task: Task, why: str, root: Path = ROOT) -> Result:
    """The result of a submission that cannot be graded."""
    questions = tuple(Question(one.name, 0, one.points) for one in _exercises(task.problem_set, Path(root)))
    return Result(Submission(task.student, "", 0, sum(question.max_score for question in questions), (why,), questions), checks={})


def grade(
    problem_set: str,
    notebook: Path | str | bytes | dict,
    student: str | None = None,
    secret: bytes | None = None,
    limits: Limits = DEFAULT_LIMITS,
    min_sandbox: int = 2,
    max_sandbox: int = 3,
    reseed: int = 0,
    root: Path = ROOT,
    store: Path | None = None,
) -> Report:
    """Grades one notebook.

    Args:
        problem_set: name of a folder of solutions/.
        notebook: path, bytes or nodes of the submitted notebook.
        student: id that seeds the inputs; by default the file's stem.
        secret: course secret; by default the environment's or the course folder's (made on first use).
        limits: what the submission may use.
        min_sandbox: lowest sandbox level to accept; 0 grades without one where none holds.
        max_sandbox: highest sandbox level to look for.
        reseed: how often an instructor had this student's inputs drawn anew.
        root: the course: the folder that holds solutions/, assignments/ and autograder/checks/.
        store: folder of results: one that is there is taken, one that is not is put there.

    Raises:
        KitError: if the set is unknown, the file cannot be read, or no sandbox of that level holds. A file that is no notebook gets no points and a flag.
    """
    require_set(problem_set, root)
    level, secret = sandbox.require(min_sandbox, max_sandbox), secret or course_secret(root)
    if isinstance(notebook, Path | str):
        path, student, content = str(notebook), student or Path(notebook).stem, submissions.read_file(notebook)
    else:
        student = student or "submission"
        path, content = f"{student}.ipynb", notebook if isinstance(notebook, bytes) else json.dumps(notebook).encode()
    from autograder import storing

    task, basis = Task(problem_set, student, content, reseed), storing.basis_of(problem_set, secret, limits, level, root)
    kept, key = storing.Store(store) if store else None, storing.key(task, basis)
    result = kept.load(key) if kept else None
    if result is None:
        result = judge(task, secret, limits, level, root)
        if kept:
            kept.save(key, result)
    return report_of(problem_set, [replace(result.submission, path=path)], secret, level, root)


def grade_paths(
    problem_set: str,
    paths: Sequence[Path | str],
    secret: bytes | None = None,
    limits: Limits = DEFAULT_LIMITS,
    min_sandbox: int = 2,
    reseed: Sequence[str] = (),
    progress: bool = False,
    root: Path = ROOT,
    store: Path | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    insecure_scheduler: bool = False,
    say: Callable[[str], object] = log.warning,
) -> tuple[Report, dict[str, dict]]:
    """Grades every notebook found in files, folders and zip archives. One that cannot be read gets no points and a flag that says why.

    Args:
        min_sandbox: lowest sandbox level to accept; with `scheduler` the level at which every worker grades.
        reseed: students whose inputs are drawn anew, each as often as it is named.
        store: folder of results: those that are there are taken, the others are put there one by one.
        workers, scheduler, insecure_scheduler: who grades; see `scheduling.run`.
        say: told, in one sentence each, what a person should know meanwhile.

    Returns:
        The report, and for each student the wall seconds and the CPU seconds of every check.
    """
    require_set(problem_set, root)
    found, refused = submissions.gather(paths, problem_set)
    students = [handin.student for handin in found]
    if unknown := set(reseed) - set(students):
        raise KitError(f"reseed names {', '.join(sorted(unknown))}, of whom there is no submission; there are {', '.join(students)}")
    from autograder import scheduling, storing

    level, secret = min_sandbox if scheduler else sandbox.require(min_sandbox), secret or course_secret(root)
    basis, kept, results = storing.basis_of(problem_set, secret, limits, level, root), storing.Store(store) if store else None, {}
    tasks, reused = {}, 0  # of the submissions that are still to be graded, their names in the store
    for student, handin in zip(students, found, strict=True):
        try:
            task = Task(problem_set, student, handin.read(), list(reseed).count(student))
        except submissions.SubmissionError as error:
            results[student] = unreadable(Task(problem_set, student, b""), str(error), root)
            continue
        if kept and (result := kept.load(key := storing.key(task, basis))):
            results[student] = result
            reused += 1
        else:
            tasks[task] = key if kept else ""
    if reused:
        say(f"the results of {reused} of {len(found)} submissions lie in {store} and are used again")
    outcomes = scheduling.run(tasks, basis, secret, root, workers, scheduler, insecure_scheduler, say)
    with closing(outcomes), tqdm(total=len(tasks), desc="grading", unit="submission", disable=not progress) as bar:
        for task, outcome in outcomes:
            if isinstance(outcome, scheduling.Failure):
                say(f"{task.student}: {outcome.reason}")
                outcome = unreadable(task, outcome.reason, root)
            elif kept:
                kept.save(tasks[task], outcome)
            results[task.student] = outcome
            bar.update()
    graded = [
        replace(results[student].submission, path=handin.path, flags=(*handin.flags, *results[student].submission.flags))
        for student, handin in zip(students, found, strict=True)
    ]
    times = {student: {"seconds": results[student].seconds, "checks": results[student].checks} for student in students}
    return replace(report_of(problem_set, graded, secret, level, root), refused=tuple(refused)), times


@cache
def _exercises(problem_set: str, root: Path) -> list[Exercise]:
    """The set's exercises, read once a process."""
    return exercises(problem_set, root)


def references(problem_set: str, root: Path = ROOT) -> dict[str, Callable]:
    """The library's functions behind the exercises of a set."""
    return {one.name: getattr(import_module(one.module), one.name) for one in _exercises(problem_set, root)}


def uses(problem_set: str, root: Path = ROOT) -> dict[str, tuple[str, ...]]:
    """Which earlier exercises each exercise calls, in notebook order."""
    return {one.name: one.uses for one in _exercises(problem_set, root)}


def course_secret(root: Path = ROOT) -> bytes:
    """The course's secret: the environment's, as text or as `hex:` and digits, else the course folder's, made on first use with mode 600."""
    if text := os.environ.get(SECRET_VARIABLE):
        try:
            content = bytes.fromhex(text.removeprefix("hex:")) if text.startswith("hex:") else text.encode()
        except ValueError:
            raise KitError(f"{SECRET_VARIABLE} begins with hex: and goes on with something else than pairs of hexadecimal digits") from None
        if len(content) < 32:
            raise KitError(f"{SECRET_VARIABLE} holds {len(content)} bytes, and a secret has at least 32: reports carry its fingerprint")
        return content
    path = Path(root) / SECRET_FILE
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        content = path.read_bytes()
        if len(content) < 32:
            raise KitError(f"{path} holds {len(content)} bytes, and a secret has at least 32: restore it, or delete it and regrade everybody") from None
        return content
    except OSError as error:
        raise KitError(f"the course secret cannot be written to {path} ({error.strerror}); set {SECRET_VARIABLE} instead") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(made := secrets.token_bytes(32))
        file.flush()
        os.fsync(file.fileno())
    return made


def fingerprint(secret: bytes) -> str:
    """What a report says of the secret: enough to see that it changed, nothing that helps to guess it."""
    return hashlib.sha256(b"fingerprint|" + secret).hexdigest()[:12]


def report_of(problem_set: str, graded: Iterable[Submission], secret: bytes, level: int, root: Path = ROOT) -> Report:
    """The report of graded submissions, in their order."""
    return Report(problem_set, course_digest(problem_set, root)[:12], versions(), fingerprint(secret), level, tuple(graded))


@cache
def _versions() -> dict[str, str]:
    packages = ("backdoors", "hypothesis", "ipython", "msgpack", "nbgrader", "numpy", "pytest", "scipy", "torch")
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in packages}


def versions() -> dict[str, str]:
    """Versions of what a grade rests on, by package."""
    return dict(_versions())


def course_digest(problem_set: str, root: Path = ROOT) -> str:
    """A digest of every file of the course and the kit that a grade rests on: library, grader, the set's checks, manuscript and assignment."""
    root, found = Path(root), set()
    for folder in {Path(backdoors.__file__).parent, root / "lib" / "backdoors"}:
        found.update(folder.rglob("*.py"))
    found.update(KIT.glob("*.py"), (root / "solutions" / problem_set).glob("*.md"))
    for folder in ("assignments", "autograder/checks"):
        found.update(path for path in (root / folder / problem_set).rglob("*") if path.is_file() and path.parent.name != "__pycache__")
    return _digest(tuple((path, (status := path.stat()).st_mtime_ns, status.st_size) for path in sorted(found)))


@lru_cache(maxsize=64)
def _digest(files: tuple[tuple[Path, int, int], ...]) -> str:
    digest = hashlib.sha256()
    for path, _, _ in files:
        digest.update(json.dumps([path.name, hashlib.sha256(path.read_bytes()).hexdigest()]).encode())
    return digest.hexdigest()


def check_files(problem_set: str, root: Path = ROOT) -> list[Path]:
    """The files of a set's checks."""
    return [path for name in ("public.py", "hidden.py") if (path := Path(root) / "autograder" / "checks" / problem_set / name).is_file()]

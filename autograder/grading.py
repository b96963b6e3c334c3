"""Grading one submission or many: the challenger runs the checks, the sandboxed adversary the student's code, and the score is what the checks said."""

import contextlib
import hashlib
import json
import os
import platform
import resource
import secrets
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib import import_module, metadata
from pathlib import Path

from tqdm import tqdm

from autograder import releasing, sandbox, submissions
from autograder.checking import seed_key
from autograder.course import ROOT, Exercise, exercises, require_set
from autograder.errors import KitError
from autograder.plugin import Plugin, run
from autograder.protocol import End, Patience, ProtocolError, Starved, StudentError, StudentTimeout, clean, join
from autograder.reporting import Question, Report, Submission
from autograder.sandbox import Limits

SECRET_FILE = "secret.key"
SECRET_VARIABLE = "BACKDOORS_SECRET"
MOST_RESTARTS = 8
CHALLENGER_MEMORY = 6 << 30  # bytes by which a submission may make the challenger grow
DEFAULT_LIMITS = Limits()
MISSING = "NameError: the notebook defines no "


class Clock(Patience):
    """Raises when the process has used more CPU than a limit since `start`, or, far later, when nothing comes at all."""

    def __init__(self, process: sandbox.Process, deadline: float):
        self.process, self.deadline = process, deadline
        self.start(float("inf"), "")

    def start(self, cpu: float, what: str) -> None:
        self.limit, self.what = cpu, what
        self.cpu, self.wall = self.process.cpu(), time.monotonic()
        self.looked = self.wall

    def check(self) -> None:
        now = time.monotonic()
        if now - self.looked < 0.1:
            return
        self.looked, used = now, self.process.cpu() - self.cpu
        if used > self.limit:
            raise StudentTimeout(f"{self.what} took more than {self.limit:g} s of CPU time")
        if now > self.deadline:
            raise StudentTimeout("the submission reached its limit of time")
        if now - self.wall > max(30.0, 10 * self.limit):
            kind = Starved if used < self.limit / 2 else StudentTimeout
            raise kind(f"{self.what} did not answer within {max(30.0, 10 * self.limit):g} s")


class Adversary(End):
    """The challenger's end of one submission: starts the student's process, runs the notebook in it, keeps the limits, starts afresh where it died.

    Attributes:
        flags: what the instructor should know of how the notebook ran.
    """

    def __init__(self, cells: Sequence[dict], edition: Path, level: int, limits: Limits, seed: int):
        super().__init__()
        self.cells, self.edition, self.level, self.limits, self.seed = cells, edition, level, limits, seed
        self.skipped: set[int] = set()  # cells that ended the process
        self.raised: dict[str, str] = {}  # what a cell raised, or how it ended the process
        self.ended: dict[str, str] = {}  # exercises that ended the process, and how
        self.starved: set[str] = set()  # exercises that have been tried once more
        self.flags: list[str] = []
        self.used = 0.0  # CPU seconds of processes that are gone
        self.deadline = time.monotonic() + limits.wall
        self.process: sandbox.Process | None = None
        self.exercise = ""

    def begin(self, exercise: str) -> None:
        if exercise in self.ended:
            raise StudentError(f"not run: an earlier check of {exercise} ended with: {self.ended[exercise]}")
        if self.process is None:
            self._run_notebook()
        self.exercise = exercise
        self.clock.start(self.limits.check_cpu, exercise)
        _alarm(3 * self.limits.check_cpu)

    def finish(self) -> None:
        _alarm(0)

    def call(self, target, *args, **kwargs):
        if self.process is None:
            raise StudentError("the student's process has ended")
        try:
            return super().call(target, *args, **kwargs)
        except (EOFError, ProtocolError, StudentTimeout) as error:
            why = str(error)
            if isinstance(error, EOFError):
                why = f"the process ended by {self.process.died_of()}" if self.process else "the process ended in a call within this call"
            why = f"the answer broke the rules of the pipe: {why}" if isinstance(error, ProtocolError) else why
            self.close()
            if isinstance(error, Starved) and self.exercise not in self.starved:
                self.starved.add(self.exercise)
                raise
            self.ended[self.exercise] = why
            raise StudentError(why) from None
        except StudentError as error:
            name = str(error).removeprefix(MISSING)
            cause = f"; in its cell: {self.raised[name]}" if name in self.raised else ""
            raise StudentError(f"{error}{cause}") from None

    def close(self) -> None:
        _alarm(0)
        if self.process is not None:
            self.used += self.process.cpu()
            self.process.kill()
            self.process = None

    def _run_notebook(self) -> None:
        """Starts a process and runs the cells in order; a cell that ends it is left out of a fresh one."""
        while True:
            if self.used > self.limits.cpu or time.monotonic() > self.deadline or len(self.skipped) > MOST_RESTARTS:
                limits = f"{self.limits.cpu} s of CPU time, {self.limits.wall} s in all, {MOST_RESTARTS} restarts"
                raise StudentError(f"the submission used up one of its limits: {limits}")
            self.given.clear()  # handles of an earlier check
            self.process = sandbox.start(self.edition, self.level, self.limits)
            self.clock = Clock(self.process, self.deadline)
            join(self, self.process.stream, self.clock)
            self.clock.start(60, "starting the process")
            self.call("!start", self.seed)
            if all(self._run_cell(index, cell) for index, cell in enumerate(self.cells) if index not in self.skipped):
                return

    def _run_cell(self, index: int, cell: dict) -> bool:
        """Runs one cell; False if the process did not survive it."""
        name = cell["name"] or f"number {index + 1}"
        self.exercise = ""
        self.clock.start(self.limits.cell_cpu, f"the cell {name}")
        try:
            raised = self.call("!cell", cell["source"])
        except (StudentError, Starved) as error:
            if self.process is not None:  # not the cell: the process itself cannot run cells
                raise
            self.skipped.add(index)
            self.raised[name] = str(error)
            self.flags.append(f"the cell {name} was left out: {error}")
            return False
        if raised and type(raised) is str:
            self.raised[name] = clean(raised)
        return True


@contextlib.contextmanager
def _memory(more: int) -> Iterator[None]:
    """Lets this process grow by at most so many bytes of address space: what a submission makes it hold ends a check, not the machine."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + more if hard == resource.RLIM_INFINITY else min(now + more, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _alarm(seconds: float) -> None:
    """Ends the check that now runs after so many CPU seconds of this process; 0 calls it off. Student code can ask the challenger to work for it."""

    def ring(*_):
        raise StudentTimeout(f"it made the grader itself work for more than {seconds:g} s")

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGPROF, ring if seconds else signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_PROF, seconds, 1.0 if seconds else 0)  # again every second: what it interrupts may swallow it


def grade(
    problem_set: str,
    notebook: Path | str | bytes | dict,
    student: str | None = None,
    secret: bytes | None = None,
    limits: Limits = DEFAULT_LIMITS,
    min_sandbox: int = 2,
    reseed: int = 0,
    root: Path = ROOT,
) -> Report:
    """Grades one notebook.

    Args:
        problem_set: name of a folder of solutions/.
        notebook: path, bytes or nodes of the submitted notebook.
        student: id that seeds the inputs; by default the file's stem.
        secret: course secret; by default the environment's or the course folder's (made on first use).
        limits: what the submission may use.
        min_sandbox: lowest sandbox level to accept; 0 grades without one where none holds.
        reseed: how often an instructor had this student's inputs drawn anew.
        root: the course: the folder that holds solutions/, assignments/ and autograder/checks/.

    Raises:
        KitError: if the set is unknown, the notebook cannot be read, or no sandbox of that level holds.
    """
    require_set(problem_set, root)
    level, secret = sandbox.require(min_sandbox), secret or course_secret(root)
    if isinstance(notebook, Path | str):
        path = str(notebook)
        student, content = student or Path(notebook).stem, submissions.read_file(notebook)
    else:
        student = student or "submission"
        path, content = f"{student}.ipynb", notebook
    nodes = submissions.read(content) if isinstance(content, bytes) else submissions.normalise(content)
    cells, flags = submissions.sanitise(nodes, problem_set, root)
    submission = _grade_cells(problem_set, cells, student, path, flags, secret, limits, level, reseed, root)
    return _report(problem_set, (submission,), secret, level, root)


def grade_paths(
    problem_set: str,
    paths: Sequence[Path | str],
    secret: bytes | None = None,
    limits: Limits = DEFAULT_LIMITS,
    min_sandbox: int = 2,
    reseed: Sequence[str] = (),
    progress: bool = False,
    root: Path = ROOT,
) -> tuple[Report, dict[str, float]]:
    """Grades every notebook found in files, folders and zip archives. One that cannot be read gets no points and a flag that says why.

    Args:
        reseed: students whose inputs are drawn anew, each as often as it is named.

    Returns:
        The report, and the seconds that each submission took.
    """
    require_set(problem_set, root)
    found = submissions.collect(paths, problem_set)
    if unknown := set(reseed) - {student for student, _, _ in found}:
        raise KitError(f"reseed names {', '.join(sorted(unknown))}, of whom there is no submission; there are {', '.join(student for student, _, _ in found)}")
    level, secret = sandbox.require(min_sandbox), secret or course_secret(root)
    graded, times = [], {}
    for student, path, content in tqdm(found, desc="grading", unit="submission", disable=not progress):
        started = time.monotonic()
        try:
            cells, flags = submissions.sanitise(submissions.read(content), problem_set, root)
        except submissions.SubmissionError as error:
            cells, flags = None, [str(error)]
        graded.append(_grade_cells(problem_set, cells, student, path, flags, secret, limits, level, list(reseed).count(student), root))
        times[student] = time.monotonic() - started
    return _report(problem_set, tuple(graded), secret, level, root), times


def _grade_cells(
    problem_set: str, cells: list[dict] | None, student: str, path: str, flags: list[str], secret: bytes, limits: Limits, level: int, reseed: int, root: Path
) -> Submission:
    """The submission's grade; `cells` None is a notebook that could not be read."""
    flags, results = list(flags), {}
    if cells is not None:
        dice = f"{student}|{reseed}" if reseed else student
        adversary = Adversary(cells, edition(problem_set, root), level, limits, int.from_bytes(seed_key(secret, dice, problem_set, "notebook")[:7], "big"))
        plugin = Plugin(lambda _: adversary, secret, dice, references=references(problem_set, root), uses=uses(problem_set, root))
        try:
            with _memory(CHALLENGER_MEMORY):
                run(check_files(problem_set, root), plugin)
        finally:
            adversary.close()
        results = plugin.results
        flags += dict.fromkeys(adversary.flags)
        flags += [f"{name} was checked with the reference's {' and '.join(names)}" for name, names in plugin.substituted.items()]
    if reseed:
        flags.append(f"the inputs were drawn anew at an instructor's word (reseed {reseed})")
    if level == 0:
        flags.append("graded without a sandbox")
    questions = tuple(
        Question(one.name, sum(check.points for check in results.get(one.name, ()) if check.passed), one.points, tuple(results.get(one.name, ())))
        for one in _exercises(problem_set, root)
    )
    return Submission(student, path, sum(q.score for q in questions), sum(q.max_score for q in questions), tuple(flags), questions)


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


@cache
def edition(problem_set: str, root: Path = ROOT) -> Path:
    """What students are given, in a temporary folder that lives as long as this process."""
    holder = tempfile.TemporaryDirectory(prefix="edition-")
    _HOLDERS.append(holder)
    Path(holder.name).chmod(0o755)
    return releasing.assemble(problem_set, Path(holder.name, problem_set), root=Path(root))


_HOLDERS: list[tempfile.TemporaryDirectory] = []


def course_secret(root: Path = ROOT) -> bytes:
    """The course's secret: the environment's, else the course folder's, made on first use with mode 600."""
    if text := os.environ.get(SECRET_VARIABLE):
        if len(text.encode()) < 32:
            raise KitError(f"{SECRET_VARIABLE} holds {len(text.encode())} bytes, and a secret has at least 32: reports carry its fingerprint")
        return text.encode()
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


def _report(problem_set: str, graded: tuple[Submission, ...], secret: bytes, level: int, root: Path) -> Report:
    packages = ("backdoors", "nbgrader", "numpy", "pytest", "scipy", "torch")
    versions = {"python": platform.python_version()} | {name: metadata.version(name) for name in packages}
    return Report(problem_set, _digest(problem_set, root), versions, fingerprint(secret), level, graded)


@cache
def _digest(problem_set: str, root: Path) -> str:
    """Names the students' edition and the checks that a grade rests on."""
    digest = hashlib.sha256()
    for path in [*sorted(edition(problem_set, root).rglob("*.py")), *check_files(problem_set, root)]:
        digest.update(json.dumps([path.name, path.read_text(encoding="utf-8")]).encode())
    return digest.hexdigest()[:12]


def check_files(problem_set: str, root: Path = ROOT) -> list[Path]:
    """The files of a set's checks."""
    return [path for name in ("public.py", "hidden.py") if (path := Path(root) / "autograder" / "checks" / problem_set / name).is_file()]

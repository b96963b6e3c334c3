"""The challenger's end of one submission: it runs the notebook in a student's process, keeps the limits, and starts afresh where that process died."""

import resource
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from autograder.protocol import End, Patience, ProtocolError, Starved, StudentError, StudentTimeout, clean, join
from autograder.sandbox import Limits, Process

MOST_RESTARTS = 8
OTHERS = 4 << 30  # bytes by which a disk may fill for reasons of others while a student's process runs
MISSING = "NameError: the notebook defines no "


class Clock(Patience):
    """Raises when the process has used more CPU or storage than a limit since `start`, or, far later, when nothing comes at all."""

    def __init__(self, process: Process, deadline: float, storage: int):
        self.process, self.deadline, self.storage, self.free = process, deadline, storage, process.free()
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
        if self.process.stored() > self.storage:
            raise StudentTimeout(f"{self.what} filled more than {self.storage >> 20} MB of disk, or made files that cannot be counted")
        if self.process.free() < self.free - OTHERS:
            raise Starved(f"the disk of the grader filled by more than {OTHERS >> 30} GB while {self.what} ran")
        if now > self.deadline:
            raise StudentTimeout("the submission reached its limit of time")
        if now - self.wall > max(30.0, 10 * self.limit):
            kind = Starved if used < self.limit / 2 else StudentTimeout
            raise kind(f"{self.what} did not answer within {max(30.0, 10 * self.limit):g} s")


class Adversary(End):
    """The challenger's end of one submission.

    Args:
        cells: what is run of the notebook, as `submissions.sanitise` gives it.
        fork: starts a fresh student's process under its limits.
        limits: what the submission may use.
        seed: of the global generators that the student's code may use.

    Attributes:
        flags: what the instructor should know of how the notebook ran.
        notebook_cpu: CPU seconds that running the cells took.
    """

    def __init__(self, cells: Sequence[dict], fork: Callable[[Limits], Process], limits: Limits, seed: int):
        super().__init__()
        self.cells, self.fork, self.limits, self.seed = cells, fork, limits, seed
        self.skipped: set[int] = set()  # cells that ended the process
        self.raised: dict[str, str] = {}  # what a cell raised, or how it ended the process
        self.ended: dict[str, str] = {}  # exercises that ended the process, and how
        self.starved: set[str] = set()  # exercises and cells that have been tried once more
        self.flags: list[str] = []
        self.used = 0.0  # CPU seconds of processes that are gone
        self.notebook_cpu = 0.0
        self.deadline = time.monotonic() + limits.wall
        self.process: Process | None = None
        self.exercise = ""

    def begin(self, exercise: str) -> None:
        if exercise in self.ended:
            raise StudentError(f"not run: an earlier check of {exercise} ended with: {self.ended[exercise]}")
        if self.process is None:
            before = self.cpu()
            try:
                self._run_notebook()
            finally:
                self.notebook_cpu += self.cpu() - before
        self.exercise = exercise
        self.clock.start(self.limits.check_cpu, exercise)
        ring_after(3 * self.limits.check_cpu, partial(self.ended.setdefault, exercise))

    def finish(self) -> None:
        ring_after(0)

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

    def cpu(self) -> float:
        """CPU seconds that the submission's processes used so far."""
        return self.used + (self.process.cpu() if self.process else 0.0)

    def close(self) -> None:
        """Ends the student's process."""
        ring_after(0)
        if self.process is not None:
            self.process.kill()
            self.used += self.process.cpu()
            self.process = None

    def _run_notebook(self) -> None:
        """Starts a process and runs the cells in order; a cell that ends it is left out of a fresh one."""
        while True:
            if self.used > self.limits.cpu or time.monotonic() > self.deadline or len(self.skipped) > MOST_RESTARTS:
                limits = f"{self.limits.cpu} s of CPU time, {self.limits.wall} s in all, {MOST_RESTARTS} restarts"
                raise StudentError(f"the submission used up one of its limits: {limits}")
            self.given.clear()  # handles of an earlier check
            self.process = self.fork(replace(self.limits, cpu=max(1, int(self.limits.cpu - self.used))))
            self.clock = Clock(self.process, self.deadline, self.limits.storage)
            join(self, self.process.stream, self.clock)
            self.clock.start(60, "starting the process")
            self.call("!start", self.seed)
            if all(self._run_cell(index, cell) for index, cell in enumerate(self.cells) if index not in self.skipped):
                return

    def _run_cell(self, index: int, cell: dict) -> bool:
        """Runs one cell; False if the process did not survive it. Where the machine starved it, the cell is tried once more."""
        name = cell["name"] or f"number {index + 1}"
        self.exercise = f"#{index}"
        self.clock.start(self.limits.cell_cpu, f"the cell {name}")
        try:
            raised = self.call("!cell", cell["source"])
        except Starved:
            return False
        except StudentError as error:
            if self.process is not None:  # not the cell: the process itself cannot run cells
                raise
            self.skipped.add(index)
            self.raised[name] = str(error)
            self.flags.append(f"the cell {name} was left out: {error}")
            return False
        if raised and type(raised) is str:
            self.raised[name] = clean(raised)
        return True


def bound_memory(more: int) -> None:
    """Lets this process grow by at most so many bytes of address space: what a submission makes it hold ends a check, not the machine."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + more if hard == resource.RLIM_INFINITY else min(now + more, hard), hard))


def ring_after(seconds: float, tell: Callable[[str], object] = lambda why: None) -> None:
    """Ends the check that now runs after so many CPU seconds of this process, and tells why; 0 calls it off. Student code can ask the challenger to work for
    it."""

    def ring(*_):
        error = StudentTimeout(f"it made the grader itself work for more than {seconds:g} s")
        tell(str(error))
        raise error

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGPROF, ring if seconds else signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_PROF, seconds, 1.0 if seconds else 0)  # again every second: what it interrupts may swallow it

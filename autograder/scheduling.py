"""Grading many submissions: one after the other in this process, or on workers through dask.distributed, on this machine or on others.

The unit of work is one submission, and a worker has one at a time: so it is known which submission a lost worker was at, and a class of any size never
lies in the scheduler all at once. Dask's own count of lost workers (`distributed.scheduler.allowed-failures`) blames every task that waits at a
worker; this one blames the task that ran.

No task and no result holds the course secret: a worker has it from its own environment or course folder. A worker that has another secret, course or
version, or a weaker sandbox, than the run is refused with the reason and gets nothing to do.
"""

import contextlib
import logging
import os
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import resource_tracker
from pathlib import Path

from autograder import grading, sandbox, scratch
from autograder.course import ROOT
from autograder.errors import KitError
from autograder.grading import Result, Task
from autograder.storing import Basis, basis_of

MOST_LOST = 3  # workers that a submission may take with it
SETTINGS = {  # of workers of this machine
    "distributed.scheduler.http.routes": [],  # pages that need no key
    "distributed.worker.http.routes": [],
    "distributed.deploy.lost-worker-timeout": "1 hour",  # after the default's 15 s a busy machine would lose a worker for good that is just starting again
}
POLL = 0.5  # seconds after which it is looked whether workers came or went
ALONE = 60  # seconds without a worker after which that is said, and at five times as many given up where no other machine could send one
ANSWER = 30  # seconds that a finished result may take to arrive
CONNECT = 30  # seconds that a scheduler may take to answer at all

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Failure:
    """Why a submission has no result. It is reported and not stored: the next run tries again."""

    reason: str


def run(
    tasks: Iterable[Task],
    basis: Basis,
    secret: bytes,
    root: Path = ROOT,
    workers: int = 1,
    scheduler: str | None = None,
    insecure: bool = False,
    say: Callable[[str], object] = log.warning,
) -> Iterator[tuple[Task, Result | Failure]]:
    """Grades tasks; each comes back with what became of it, as it is done, in any order.

    Args:
        basis: what the grades rest on; a worker that does not agree is refused.
        secret: the course's; given to workers of this machine through their environment, to others never.
        workers: processes on this machine; with 1 it is done in this process.
        scheduler: address of a Dask scheduler to use in their place, `tls://host:port`; its workers bring the secret with them.
        insecure: accept a scheduler that is not reached by TLS.
        say: told, in one sentence each, what a person should know while it runs.

    Raises:
        KitError: where the scheduler cannot be reached or is lost, all of its workers are refused, or the course is changed meanwhile.
    """
    tasks = list(tasks)
    if scheduler is None and workers < 1:
        raise KitError(f"workers must be at least 1, got {workers}")
    if scheduler is not None:
        require_secure(scheduler, insecure, say)
    if scheduler is None and (workers == 1 or len(tasks) < 2):
        for task in tasks:
            if grading.course_digest(basis.problem_set, root) != basis.course:
                raise KitError(f"the course or the kit in {root} was changed while it was graded with; run again")
            yield task, _attempt(task, basis, secret, root)
    elif tasks:
        with _joined(scheduler) if scheduler else _cluster(min(workers, len(tasks)), secret) as client:
            try:
                yield from _Crowd(client, tasks, basis, root, say, patience=float("inf") if scheduler else 5 * ALONE).outcomes()
            except OSError as error:
                raise KitError(f"the scheduler was lost ({error or type(error).__name__}); run again to go on from what is done") from None


def require_secure(scheduler: str, insecure: bool, say: Callable[[str], object]) -> None:
    """Raises KitError where a scheduler's address is not of TLS and that was not accepted; says so where it was."""
    if scheduler.startswith("tls://"):
        return
    danger = "whoever reaches its port, or a worker's, runs code of their own as you, reads the submissions and sets the grades"
    if not insecure:
        raise KitError(f"the scheduler {scheduler!r} is not reached by tls://: {danger}; give it certificates, or accept this with --insecure-scheduler")
    say(f"warning: the scheduler {scheduler} is not reached by tls://: {danger}")


# in a worker


_one_at_a_time = threading.Lock()


def unfit(basis: Basis, root: Path) -> str:
    """Why this process may not grade for a run, or nothing."""
    try:
        if not os.environ.get(grading.SECRET_VARIABLE) and not (root / grading.SECRET_FILE).is_file():
            return f"it has no course secret: set {grading.SECRET_VARIABLE} in its environment"
        level, why = sandbox.probe(basis.level)
        mine = basis_of(basis.problem_set, grading.course_secret(root), basis.limits, level, root)
    except (KitError, OSError) as error:
        return str(error)
    if mine.fingerprint != basis.fingerprint:
        return f"its course secret has the fingerprint {mine.fingerprint}, that of the run has {basis.fingerprint}"
    if mine.versions != basis.versions:
        names = sorted(name for name in mine.versions | basis.versions if mine.versions.get(name) != basis.versions.get(name))
        return ", ".join(f"it has {name} {mine.versions.get(name)} and the run {basis.versions.get(name)}" for name in names)
    if mine.course != basis.course:
        return f"its course and kit in {root} differ from those of the run ({mine.course[:12]}, not {basis.course[:12]}); if they are new, start it again"
    if level < basis.level:
        return f"its sandbox holds level {level} and the run asks for {basis.level} ({why})"
    return ""


def _examine(basis: Basis, root: str | None) -> dict:
    with _one_at_a_time:
        why = unfit(basis, Path(root or ROOT))
    return {"unfit": why} if why else {}


def _grade(task: Task, basis: Basis, root: str | None) -> dict:
    """The result as JSON's types, or why there is none: one of the keys `result`, `failed`, `unfit`."""
    folder = Path(root or ROOT)
    with _one_at_a_time:
        if why := unfit(basis, folder):
            return {"unfit": why}
        try:
            outcome = _attempt(task, basis, grading.course_secret(folder), folder)
        except grading.EngineError as error:
            return {"unfit": str(error)}
    return {"failed": outcome.reason} if isinstance(outcome, Failure) else {"result": outcome.to_json()}


def _attempt(task: Task, basis: Basis, secret: bytes, root: Path) -> Result | Failure:
    try:
        return grading.judge(task, secret, basis.limits, basis.level, root)
    except grading.EngineError:
        raise
    except Exception as error:  # one submission never stops a class
        log.exception("the submission of %r was not graded", task.student)
        return Failure(f"the grader failed on this submission, and a person must look at it: {error or type(error).__name__}")


# in the process that asks


@contextlib.contextmanager
def _cluster(workers: int, secret: bytes) -> Iterator:
    """A client of worker processes of one thread each, on 127.0.0.1 and by TLS with a key of their own: other users of the machine reach the ports too."""
    import dask
    from distributed import Client, LocalCluster, Security

    with dask.config.set(SETTINGS | {"temporary-directory": str(scratch.own_folder())}), contextlib.ExitStack() as stack:
        with _deaf():
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                protocol="tls://",
                security=Security.temporary(),
                scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
                memory_limit=0,  # no limit of Dask's own: it would count as the submission's doing
                env={grading.SECRET_VARIABLE: f"hex:{secret.hex()}"},
                silence_logs=logging.CRITICAL,
            )
            client = stack.enter_context(Client(stack.enter_context(cluster)))
        yield client


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """A Ctrl-C is heard at the end, and never by threads and processes that start in here, nor by those that they start: whoever hears it ends them."""
    resource_tracker.ensure_running()  # a thread that had to start it would hear again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _joined(scheduler: str) -> Iterator:
    """A client of a scheduler that exists; certificates come from Dask's own configuration."""
    from distributed import Client

    try:
        client = Client(scheduler, timeout=CONNECT)
    except (OSError, ValueError, TypeError, ImportError) as error:  # no route, no such protocol, no certificates
        raise KitError(f"the scheduler {scheduler} cannot be reached ({error}); for tls:// Dask's configuration must name the certificates") from None
    with client:
        yield client


class _Crowd:
    """The workers of a client. A new one is examined, a fit one gets a task, one more when it is done, and what a lost one had goes to another."""

    def __init__(self, client, tasks: list[Task], basis: Basis, root: Path, say: Callable[[str], object], patience: float):
        self.client, self.basis, self.say, self.patience = client, basis, say, patience
        self.seen, self.told = time.monotonic(), False  # when there was a worker last, and whether it was said that there is none
        self.fit = False  # whether any worker has been found so
        self.root = None if root == ROOT else str(root)  # the checkout need not lie in the same place there
        self.waiting, self.lost = deque(tasks), Counter()
        self.free: set[str] = set()
        self.refused: dict[str, str] = {}
        self.busy: dict = {}  # future -> worker, task; no task: the worker is being examined

    def outcomes(self) -> Iterator[tuple[Task, Result | Failure]]:
        from distributed import wait

        while self.waiting or any(task for _, task in self.busy.values()):
            present = set(self.client.nthreads())
            self._hand_out(present)
            self._wait_for_one(present - self.refused.keys())
            with contextlib.suppress(TimeoutError):
                wait(list(self.busy), timeout=POLL, return_when="FIRST_COMPLETED") if self.busy else time.sleep(POLL)
            for future in [future for future, (worker, _) in self.busy.items() if future.done() or worker not in present]:
                worker, task = self.busy.pop(future)
                outcome = self._outcome(worker, task, _answer(future))
                if outcome is not None:
                    yield task, outcome

    def _wait_for_one(self, present: set[str]) -> None:
        """Says or raises that there are no workers but refused ones."""
        now, reasons = time.monotonic(), "".join(f"; {why}" for why in self.refused.values())
        if present:
            self.seen, self.told = now, False
        elif now - self.seen > self.patience or (reasons and not self.fit and now - self.seen > ALONE):
            raise KitError(f"there has been no worker that may grade for {now - self.seen:.0f} s; run again to go on from what is done{reasons}")
        elif now - self.seen > ALONE and not self.told:
            self.told = True
            self.say(f"there has been no worker that may grade for {ALONE} s; waiting for one{reasons}")

    def _hand_out(self, present: set[str]) -> None:
        self.free &= present
        self.refused = {worker: why for worker, why in self.refused.items() if worker in present}
        for worker in sorted(present - self.free - self.refused.keys() - {worker for worker, _ in self.busy.values()}):
            self._give(worker, None)
        while self.free and self.waiting:
            self._give(self.free.pop(), self.waiting.popleft())

    def _give(self, worker: str, task: Task | None) -> None:
        work = (_grade, task, self.basis, self.root) if task else (_examine, self.basis, self.root)
        self.busy[self.client.submit(*work, workers=[worker], pure=False)] = worker, task

    def _outcome(self, worker: str, task: Task | None, answer: dict) -> Result | Failure | None:
        """What became of a task, if that is settled."""
        if "lost" in answer and task:
            self.lost[task] += answer["lost"]
            self.say(f"the worker at {worker} was lost while it graded the submission of {task.student!r} ({self.lost[task]} of {MOST_LOST})")
            if self.lost[task] >= MOST_LOST:
                return Failure(f"grading this submission ended {MOST_LOST} workers, and a person must look at it")
            self.waiting.append(task)
        elif "unfit" in answer:
            self.refused[worker] = f"the worker at {worker} is refused: {answer['unfit']}"
            self.say(self.refused[worker])
            self.waiting.extend([task] if task else [])
        elif "lost" not in answer:
            self.free.add(worker)
            self.fit = True
            if task:
                return Result.from_json(answer["result"]) if "result" in answer else Failure(answer["failed"])
        return None


def _answer(future) -> dict:
    """What a worker said, or how many workers were lost over it."""
    from distributed import KilledWorker

    try:
        return future.result(timeout=ANSWER if future.done() else 0)
    except KilledWorker as error:
        return {"lost": error.allowed_failures + 1}
    except Exception as error:
        if future.status == "error":  # the worker could not even read what it was to do
            return {"unfit": f"{type(error).__name__}: {error}"}
        future.cancel()
        return {"lost": 1}
    finally:
        future.release()  # what is answered is not computed again when its worker is lost later

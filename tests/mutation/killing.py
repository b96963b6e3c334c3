"""What the checks say of mutants: each is put into the solved notebook and judged in a forked process of its own, under limits."""

import contextlib
import inspect
import io
import json
import os
import random
import re
import resource
import selectors
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from mutating import Mutant, mutants

from autograder import grading, trials
from autograder.course import exercises
from autograder.errors import KitError
from autograder.plugin import Plugin, run

SECRETS = ("first", "second", "third")
CPU, WALL, MEMORY = 30, 600, 4 << 30  # seconds, seconds, bytes: what a mutant may use at one secret
KILLED = ("value", "raised", "stopped")  # by what an answer was; by an exception of the mutant's; by a limit or a dead process


@dataclass(frozen=True)
class Job:
    """One mutant at one secret."""

    mutant: Mutant
    secret: str


def of_set(problem_set: str) -> dict[str, list[Mutant]]:
    """The mutants of every exercise of a set, in notebook order."""
    modules = {one.name: import_module(one.module) for one in exercises(problem_set)}
    return {name: mutants(inspect.getsource(module), name, vars(module)) for name, module in modules.items()}


def fates(problem_set: str, jobs: Iterable[Job], tell: Callable[[Job, str], None], processes: int = 2) -> None:
    """Judges the jobs, several at a time, and tells of each as it is done: one of KILLED, or "survived".

    Raises:
        KitError: if a check is itself at fault on a mutant, or the reference itself is killed.
    """
    jobs = list(jobs)
    references = [Job(Mutant("", name, "", "", ""), secret) for name, secret in dict.fromkeys((job.mutant.exercise, job.secret) for job in jobs)]
    killer = _Killer(problem_set, [*references, *jobs], tell, processes)
    with contextlib.redirect_stdout(io.StringIO()):
        run(grading.check_files(problem_set), killer)
    if killer.fault:
        raise KitError(killer.fault)


class _Killer(Plugin):
    """Collects the checks once; then, instead of running them, forks a process a job that runs those of its exercise until one fails."""

    def __init__(self, problem_set: str, jobs: list[Job], tell: Callable[[Job, str], None], processes: int):
        super().__init__(lambda name: trials.in_process(name, self.notebook), b"", references=grading.references(problem_set))
        self.jobs, self.tell, self.processes, self.fault = jobs[::-1], tell, processes, ""
        self.notebook = trials.solved(problem_set)
        trials.in_process(problem_set, self.notebook)  # so that what it imports is there when processes fork

    @pytest.hookimpl
    def pytest_runtestloop(self, session):
        running, selector = {}, selectors.DefaultSelector()
        try:
            while (self.jobs or running) and not self.fault:
                while self.jobs and len(running) < self.processes:
                    job = self.jobs.pop()
                    pipe, child = self._start(job, session)
                    running[pipe] = job, child, time.monotonic() + WALL
                    selector.register(pipe, selectors.EVENT_READ)
                for key, _ in selector.select(timeout=1):
                    job, child, _ = running.pop(key.fd)
                    selector.unregister(key.fd)
                    with open(key.fd) as answer:
                        said = json.loads(answer.read() or '"stopped"')
                    os.waitpid(child, 0)
                    if said not in (*KILLED, "survived"):
                        self.fault = f"a mutant of {job.mutant.exercise} could not be judged: {said}\n{job.mutant.diff}"
                    elif job.mutant.id:
                        self.tell(job, said)
                    elif said != "survived":
                        self.fault = f"the reference of {job.mutant.exercise} fails its checks at the secret {job.secret!r}: {said}"
                for _, child, deadline in running.values():
                    if time.monotonic() > deadline:
                        os.kill(child, signal.SIGKILL)
        finally:
            for _, child, _ in running.values():
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
        return True

    def _start(self, job: Job, session: pytest.Session) -> tuple[int, int]:
        """Forks; the child's pipe and its id."""
        reading, writing = os.pipe()
        child = os.fork()
        if child:
            os.close(writing)
            return reading, child
        said = "survived"
        try:
            with open(os.devnull, "w") as nowhere:
                os.dup2(nowhere.fileno(), 1)
                os.dup2(nowhere.fileno(), 2)
            now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, now + MEMORY))
            resource.setrlimit(resource.RLIMIT_CPU, (CPU, CPU))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            said = self._judged(job, session)
        except MemoryError:
            said = "stopped"
        except BaseException as error:  # a fault of this file's, not the mutant's: the parent raises it
            said = f"{type(error).__name__}: {error}"
        finally:
            with open(writing, "w") as answer:
                answer.write(json.dumps(said))
            os._exit(0)

    def _judged(self, job: Job, session: pytest.Session) -> str:
        for seed in (random.seed, np.random.seed, torch.manual_seed):
            seed(0)
        self.secret = job.secret.encode()
        (cell,) = (cell for cell in self.notebook.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == job.mutant.exercise)
        cell.source = job.mutant.source or cell.source  # none: the reference itself
        for item in session.items:
            if item.get_closest_marker("exercise").args[0] == job.mutant.exercise:
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
                if failed := [result for result in self.results[job.mutant.exercise] if not result.passed]:
                    return _how(failed[0].message)
        return "survived"


def _how(message: str) -> str:
    if message.startswith("the check itself is at fault"):
        return message
    return "raised" if re.match(r"(\w+(Error|Exception|Exit|Interrupt)|StopIteration)\b", message) else "value"

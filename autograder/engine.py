"""The warm challenger: a process of its own that has imported a set's checks, and forks one challenger for every submission.

`grading` starts it by exec and sends it tasks, one after the other. Beside it runs the warm process of `sandbox`, from which the students' processes are
forked. A challenger that dies costs its own submission; with this process, whatever it started dies too.
"""

import ast
import contextlib
import gc
import json
import os
import select
import signal
import sys
import tempfile
import time
from dataclasses import asdict, replace
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path

import msgpack
import numpy as np
import pytest
import torch
from IPython.core.inputtransformer2 import TransformerManager

from autograder import confinement, grading, releasing, sandbox, scratch, submissions
from autograder.challenging import Adversary, bound_memory
from autograder.checking import seed_key
from autograder.course import exercises
from autograder.errors import KitError
from autograder.plugin import Plugin, exercise_of, is_hidden, run
from autograder.protocol import clean, loopback
from autograder.reporting import Question, Submission
from autograder.sandbox import Limits, Process, Warm

CHALLENGER_MEMORY = 6 << 30  # bytes by which a submission may make the challenger grow


class Challengers(Plugin):
    """Runs the collected checks once for every task that comes, in a fork of this process."""

    def __init__(self, problem_set: str, root: Path, level: int, connection: Connection):
        super().__init__(None, b"", references=grading.references(problem_set, root), uses=grading.uses(problem_set, root))
        self.set, self.root, self.level, self.connection = problem_set, root, level, connection
        self.questions = exercises(problem_set, root)
        submissions.released(problem_set, root)
        if level > 0:
            sandbox.require_unseen(root)
        self.warm = Warm(edition(problem_set, root), level, imports(problem_set, root))
        self.rehearsing = False
        self.spare: tuple[Limits, Process] | None = None  # for the next submission; made while this one is graded
        self.retold: list[tuple[pytest.Item, int]] = []  # failed public checks, and their place among the results, whose words are to be found again

    @pytest.hookimpl
    def pytest_runtestloop(self, session):
        self._rehearse(session)
        gc.collect()
        gc.freeze()
        confinement.take_large_pages()
        self.connection.send_bytes(b"{}")
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                task = msgpack.unpackb(self.connection.recv_bytes())
                if not self.warm.alive():
                    self._restart()
                answer = self._apart(session, task)
                if answer is None:
                    self._restart()  # and with it whatever the dead challenger left running
                    answer = json.dumps({"failed": "the grader's own process ended while it graded this submission"}).encode()
                self.connection.send_bytes(answer)
        return True

    @pytest.hookimpl
    def pytest_pyfunc_call(self, pyfuncitem):
        return True if self.rehearsing else super().pytest_pyfunc_call(pyfuncitem)

    def _rehearse(self, session) -> None:
        """Grades the released notebook in this process, without the checks' bodies: what is done for the first time is done here, and not in every fork.

        What a check does stays out: it may start threads or a device, and a fork of a process that has either cannot use them.
        """
        content = (self.root / "assignments" / self.set / f"{self.set}.ipynb").read_bytes()
        task = {"student": "", "reseed": 0, "content": content, "secret": b"", "limits": asdict(Limits())}
        self.rehearsing = True
        self._judge(session, task, None)
        self.rehearsing = False
        loopback({"same": lambda value: value}).call("same", [1.0, np.ones(2), torch.ones(2)])
        for found in (self.results, self.failed, self.substituted, self._ends, self._bound):
            found.clear()

    def _spare(self, limits: Limits) -> Process | None:
        """The student's process that was made while the submission before was graded, where it is there and has these limits."""
        spare, self.spare = self.spare, None
        if spare and (spare[0] != limits or spare[1].gone()):
            spare[1].kill()
            return None
        return spare[1] if spare else None

    def _restart(self) -> None:
        if self.spare:
            self.spare[1].kill()
            self.spare = None
        self.warm.close()
        self.warm = Warm(edition(self.set, self.root), self.level, imports(self.set, self.root))

    def _apart(self, session, task: dict) -> bytes | None:
        """What a fork of this process says of the task; None where it died or did not end."""
        limits = Limits(**task["limits"])
        process, (reading, writing) = self._spare(limits), os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            status = 1
            try:
                confinement.die_with_parent()
                bound_memory(CHALLENGER_MEMORY)
                answer = json.dumps(self._judge(session, task, process)).encode()
                with os.fdopen(writing, "wb") as file:
                    file.write(answer)
                status = 0
            except BaseException:
                sys.excepthook(*sys.exc_info())
            os._exit(status)
        os.close(writing)
        if process:
            process.leave()
        with contextlib.suppress(KitError, OSError):  # whoever needs it tries again, and says so
            self.spare = limits, self.warm.fork(limits)
        said, deadline = b"", time.monotonic() + 2 * task["limits"]["wall"] + 60
        while True:
            ready, _, _ = select.select([reading, self.connection], [], [], max(0.0, deadline - time.monotonic()))
            data = os.read(reading, 1 << 20) if reading in ready else b""
            said += data
            if not data:  # the end, the deadline, or nobody is left who wants to know
                break
        if reading not in ready:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        os.close(reading)
        _, status = os.waitpid(child, 0)
        if self.connection in ready:
            raise EOFError
        return said if status == 0 else None

    def _judge(self, session, task: dict, process: Process | None) -> dict:
        """The result of one task; runs in a fork. `process` is the first of the submission's, if there is one already."""
        started, limits, seconds = time.monotonic(), Limits(**task["limits"]), {}
        try:
            cells, flags = submissions.sanitise(task["content"], self.set, self.root)
        except submissions.SubmissionError as error:
            if process:
                process.kill()
            return self._result({}, task, [str(error)], {}, started)
        dice = f"{task['student']}|{task['reseed']}" if task["reseed"] else task["student"]
        seed = int.from_bytes(seed_key(task["secret"], dice, self.set, "notebook")[:7], "big")
        processes = [process] if process else []
        adversary = Adversary(cells, lambda limits: processes.pop() if processes else self.warm.fork(limits), limits, seed)
        self.secret, self.student_id, self.join = task["secret"], dice, lambda _: adversary
        try:
            for item, following in zip(session.items, [*session.items[1:], None], strict=True):
                before = time.process_time() + adversary.cpu() - adversary.notebook_cpu
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                seconds[f"{exercise_of(item)}.{item.name}"] = time.process_time() + adversary.cpu() - adversary.notebook_cpu - before
        finally:
            adversary.close()
        flags += dict.fromkeys(adversary.flags)
        if self.retold:
            before = time.process_time() + adversary.cpu()
            witness = Adversary(cells, self.warm.fork, limits, seed)
            witness.deadline, witness.used = adversary.deadline, adversary.cpu()  # the limits are of both together
            try:
                self._retell(witness)
            finally:
                witness.close()
            seconds["the words of failed checks"] = time.process_time() + witness.cpu() - before
        flags += [f"{name} was checked with the reference's {' and '.join(names)}" for name, names in self.substituted.items()]
        return self._result(self.results, task, flags, seconds | {"the notebook": adversary.notebook_cpu}, started)

    def told(self, item, error: BaseException) -> str:
        """The words of a failed public check reach the student, and by the time of some his process may know inputs of hidden checks and have put them there:
        their words are found again, by `_retell`."""
        if not is_hidden(item) and str(error) != "NotImplementedError" and any(check.hidden for checks in self.results.values() for check in checks):
            self.retold.append((item, len(self.results.get(exercise_of(item), ()))))
        return super().told(item, error)

    def _retell(self, witness: Adversary) -> None:
        """Runs public checks again, on a student's process that sees no input of a hidden one: what they say there is told, and decides nothing."""
        for item, place in self.retold:
            words = "it failed, and passed when it was run again by itself"
            try:
                self.again(item, witness)
            except Exception as error:
                words = super().told(item, error)
            finally:
                witness.finish()
            checks = self.results[exercise_of(item)]
            checks[place] = replace(checks[place], message=words)

    def _result(self, results: dict, task: dict, flags: list[str], seconds: dict[str, float], started: float) -> dict:
        flags = list(flags)
        if task["reseed"]:
            flags.append(f"the inputs were drawn anew at an instructor's word (reseed {task['reseed']})")
        if self.level == 0:
            flags.append("graded without a sandbox")
        questions = tuple(
            Question(one.name, sum(check.points for check in results.get(one.name, ()) if check.passed), one.points, tuple(results.get(one.name, ())))
            for one in self.questions
        )
        score, most = sum(q.score for q in questions), sum(q.max_score for q in questions)
        submission = Submission(task["student"], "", score, most, tuple(flags), questions)
        return {"submission": asdict(submission), "seconds": round(time.monotonic() - started, 3), "checks": {k: round(v, 3) for k, v in seconds.items()}}


@cache
def edition(problem_set: str, root: Path) -> Path:
    """What students are given, in a folder that lives as long as this process."""
    folder = Path(tempfile.mkdtemp(dir=scratch.own_folder()))
    folder.chmod(0o755)
    return releasing.assemble(problem_set, folder / problem_set, root=Path(root))


@cache
def warm(problem_set: str, root: Path, level: int) -> Warm:
    """The warm process of a set, for trials outside the grader."""
    return Warm(edition(problem_set, root), level, imports(problem_set, root))


def imports(problem_set: str, root: Path) -> list[str]:
    """The modules that the released notebook imports: the warm process has them before a student's code asks for them."""
    found = dict.fromkeys(("numpy", "torch", "backdoors"))
    for cell in submissions.released(problem_set, root).cells:
        if cell.cell_type == "code":
            for node in ast.walk(ast.parse(TransformerManager().transform_cell(cell.source))):
                if isinstance(node, ast.Import):
                    found.update(dict.fromkeys(alias.name for alias in node.names))
                elif isinstance(node, ast.ImportFrom) and node.module:
                    found.update(dict.fromkeys([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]))
    return list(found)


def main() -> None:
    """Started as `python -c ... SET ROOT LEVEL FD`."""
    problem_set, root, level, descriptor = sys.argv[1:]
    connection = Connection(int(descriptor))
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # a student's process hears the same signals, whoever started this one: a shell, nohup, a worker
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(os.open(os.devnull, os.O_RDWR), 1)
    torch.set_num_threads(1)  # a fork of a process that has computed with several threads hangs
    try:
        challengers = Challengers(problem_set, Path(root), int(level), connection)
        run(grading.check_files(problem_set, Path(root)), challengers)
    except Exception as error:
        with contextlib.suppress(OSError):
            connection.send_bytes(json.dumps({"error": clean(error)}).encode())
        sys.exit(1)
    challengers.warm.close()

"""The processes that throughput.py times: each is told on stdin what to grade, a block of a class, and answers with a line of JSON on stdout.

`ours FOLDER SET` and `stock FOLDER SET` are graders that stay alive over the blocks; `own FOLDER SET` runs the student's code and the bodies of the checks
alone, in plain Python; `stages FOLDER SET` is `ours` with clocks in it.
"""

import contextlib
import io
import json
import os
import shutil
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from pathlib import Path

HERE = Path(__file__).resolve().parent
EVERYBODY = "everybody"  # a report on all blocks, whose results are there
FORK = "fork and confine the student's process"
MEANWHILE = f"meanwhile: {FORK} of the next submission"


def ours(folder: Path, problem_set: str, out: str = "graded") -> Callable[[str], dict]:
    """`autograder grade` with one worker, whose engine is the one of the block before. Says how much of the time the report took."""
    from autograder import reporting
    from autograder.commands import main

    os.chdir(folder / "ours")
    clocks = Stages()
    clocks.wrap(reporting, "write", "report")
    clocks.wrap(reporting, "table", "report")

    def grade(block: str) -> dict:
        clocks.found.clear()
        place = Path(out, block)
        if block == EVERYBODY:
            for path in Path(out).glob("*/results/*.json"):
                (place / "results").mkdir(parents=True, exist_ok=True)
                shutil.copy(path, place / "results")
        handed_in = "handed-in" if block == EVERYBODY else f"handed-in/{block}"
        main.main(["grade", problem_set, handed_in, "--out", str(place)], standalone_mode=False)
        report = json.loads((place / "report.json").read_bytes())
        right = sum(one["score"] == one["max_score"] for one in report["submissions"])
        return {"right": right, "sandbox": report["sandbox"], "report": clocks.found["report"]}

    return grade


def stock(folder: Path, problem_set: str) -> Callable[[str], dict]:
    """`nbgrader autograde`, without the start of its process."""
    from nbgrader.api import Gradebook
    from nbgrader.apps import AutogradeApp

    os.chdir(folder / "stock")

    def grade(block: str) -> dict:
        AutogradeApp.clear_instance()
        app = AutogradeApp.instance()
        app.initialize([problem_set, f"--student={block}-*", "--log-level=ERROR"])
        app.start()
        with Gradebook("sqlite:///gradebook.db") as book:
            done = [one for one in book.assignment_submissions(problem_set) if one.student.id.startswith(f"{block}-")]
            return {"right": sum(one.code_score == one.max_code_score for one in done)}

    return grade


def own(folder: Path, problem_set: str) -> Callable[[str], dict]:
    """The code cells of a stock notebook, asserts included: CPU seconds in a process that has imported nothing, and once more."""
    os.chdir(folder / "stock" / "source" / problem_set)
    sys.path.insert(0, os.getcwd())

    def grade(block: str) -> dict:
        path = next((folder / "stock" / "submitted").glob(f"{block}-*/*/*.ipynb"))
        seconds = []
        for _ in range(2):
            namespace, started = {"__name__": "__main__"}, time.process_time()
            for cell in json.loads(path.read_bytes())["cells"]:
                if cell["cell_type"] == "code":
                    exec(compile("".join(cell["source"]), "<cell>", "exec"), namespace)
            seconds.append(time.process_time() - started)
        return {"fresh": seconds[0], "again": seconds[1]}

    return grade


class Stages:
    """Wall and CPU seconds of named stages, each without the stages within it."""

    def __init__(self):
        self.found: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        self.within: list[list[float]] = []

    @contextlib.contextmanager
    def stage(self, name: str):
        self.within.append([0.0, 0.0])
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            spent = time.perf_counter() - wall, time.process_time() - cpu
            inner = self.within.pop()
            for i in range(2):
                self.found[name][i] += spent[i] - inner[i]
                if self.within:
                    self.within[-1][i] += spent[i]

    def wrap(self, owner, attribute: str, name: str | Callable[..., str]) -> None:
        """Clocks a function; `name` may be a function of its arguments."""
        function = getattr(owner, attribute)

        @wraps(function)
        def clocked(*args, **kwargs):
            with self.stage(name(*args) if callable(name) else name):
                return function(*args, **kwargs)

        setattr(owner, attribute, clocked)


def stages(folder: Path, problem_set: str) -> Callable[[str], dict]:
    """`ours`, by stage; what the challenger spent comes with its answer."""
    from autograder import collecting, grading, storing

    mine, theirs = Stages(), defaultdict(lambda: [0.0, 0.0])
    popen, from_json = grading.subprocess.Popen, grading.Result.from_json

    def start(command: list[str], **options):
        return popen([part.replace("autograder.engine import main", "contestants import clocked_engine as main") for part in command], **options)

    def read(record: dict):
        for name, spent in record.pop("stages", {}).items():
            theirs[name] = [sum(pair) for pair in zip(theirs[name], spent, strict=True)]
        return from_json(record)

    os.environ["PYTHONPATH"] += f":{HERE}"
    grading.subprocess.Popen, grading.Result.from_json = start, read
    mine.wrap(collecting.Handin, "read", "read the file, key of the result")
    mine.wrap(storing, "key", "read the file, key of the result")
    mine.wrap(grading.Engine, "judge", "engine")
    mine.wrap(storing.Store, "save", "store the result")
    grade = ours(folder, problem_set, "clocked")

    def clocked(block: str) -> dict:
        mine.found.clear()
        theirs.clear()
        started = time.perf_counter()
        said = grade(block)
        rest = time.perf_counter() - started - said["report"][0] - sum(wall for wall, _ in mine.found.values())
        between = mine.found.pop("engine")[0] - sum(wall for name, (wall, _) in theirs.items() if name != MEANWHILE)
        return said | {"stages": {**mine.found, **theirs, "between the processes": [between, 0.0], "the rest of the command": [rest, 0.0]}}

    return clocked


def clocked_engine() -> None:
    """The engine's `main` with clocks; runs in the engine's process and in its forks."""
    import pytest

    from autograder import challenging, engine, submissions
    from autograder.challenging import Adversary

    clocks, forked = Stages(), [0.0]
    judge, apart, loop = engine.Challengers._judge, engine.Challengers._apart, engine.Challengers.pytest_runtestloop

    def clocked_apart(self, session, task):
        forked[0] = time.perf_counter()
        answer = json.loads(apart(self, session, task))
        spent = answer["stages"]
        spent["exit of the challenger"] = [time.perf_counter() - forked[0] - sum(wall for wall, _ in spent.values()), 0.0]
        spent[MEANWHILE] = clocks.found.pop(FORK, [0.0, 0.0])
        return json.dumps(answer).encode()

    def clocked_judge(self, session, task, *process):
        if not forked[0]:  # the rehearsal
            return judge(self, session, task, *process)
        clocks.found.clear()
        clocks.found["fork of the challenger"] = [time.perf_counter() - forked[0], time.process_time()]
        with clocks.stage("the rest of the challenger"):
            record = judge(self, session, task, *process)
        return record | {"stages": dict(clocks.found)}

    def clocked_loop(self, session):
        hook = session.items[0].config.hook
        protocol = hook.pytest_runtest_protocol

        def clocked_protocol(**options):
            with clocks.stage("pytest"):
                return protocol(**options)

        hook.pytest_runtest_protocol = clocked_protocol
        return loop(self, session)

    engine.Challengers._judge, engine.Challengers._apart = clocked_judge, clocked_apart
    engine.Challengers.pytest_runtestloop = pytest.hookimpl(clocked_loop)
    clocks.wrap(submissions, "sanitise", "parse, sanitise")
    clocks.wrap(engine.Warm, "fork", FORK)
    clocks.wrap(Adversary, "call", lambda end, target, *_: {"!start": "seed", "!cell": "run the cells"}.get(target, "calls of the student's functions"))
    clocks.wrap(Adversary, "close", "kill the student's process")
    clocks.wrap(Adversary, "cpu", "limits: CPU time, alarms")
    clocks.wrap(challenging.Clock, "start", "limits: CPU time, alarms")
    clocks.wrap(challenging, "ring_after", "limits: CPU time, alarms")
    clocks.wrap(engine.Challengers, "enter", "begin the check")
    body = engine.Challengers.pytest_pyfunc_call

    def clocked_body(self, pyfuncitem):
        with clocks.stage("bodies of the checks"):
            return body(self, pyfuncitem)

    engine.Challengers.pytest_pyfunc_call = pytest.hookimpl(clocked_body)
    engine.main()


def main() -> None:
    contestants = {"ours": ours, "stock": stock, "own": own, "stages": stages}
    kind, folder, problem_set = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    answers, sys.stdout = sys.stdout, io.StringIO()
    grade = contestants[kind](folder, problem_set)
    for line in sys.stdin:
        started = time.perf_counter()
        try:
            said = grade(line.strip())
        except BaseException:
            traceback.print_exc()
            sys.exit(1)
        print(json.dumps({"wall": time.perf_counter() - started, **said}), file=answers, flush=True)


if __name__ == "__main__":
    main()

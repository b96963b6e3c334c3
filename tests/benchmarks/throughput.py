"""Throughput of `autograder grade` beside stock `nbgrader autograde`, and where the grader's own time goes.

Run by `make bench`, or alone. A class whose notebooks import torch is graded by both, one worker each, in blocks that alternate; figures are medians over the
blocks. The workload `blank` has checks that do next to nothing; ps05_smoothing, with a tenth of the submissions, has real ones. See classroom.py.

Overhead of a submission is its wall time less the CPU time that its code and the bodies of its checks take alone, in plain Python. With stock nbgrader the
import of torch is the student's code, as every kernel imports it anew; here it is not, because the warm process imports once. What follows a class and not a
submission stands apart: the start of the graders; the report (pages, tables) is measured once on the whole class and counted by the head.
"""

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median

import classroom
from contestants import EVERYBODY, MEANWHILE

OVERHEAD = 0.060  # seconds a submission, with blank checks
SHARE = 0.1  # of stock nbgrader's overhead
HERE = Path(__file__).resolve().parent
NAMES = {"ours": "autograder grade", "stock": "nbgrader autograde"}


class Contestant:
    """A process of contestants.py; counts the CPU seconds of all that it starts where the machine has control groups of version 1 and this is root."""

    def __init__(self, kind: str, room: classroom.Classroom):
        self.group = Path("/sys/fs/cgroup/cpuacct", f"throughput-{os.getpid()}-{kind}")
        try:
            self.group.mkdir()
        except OSError:
            self.group = None
        self.errors = room.folder / f"{kind}.txt"
        command, started = [sys.executable, str(HERE / "contestants.py"), kind, str(room.folder), room.problem_set], time.perf_counter()
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": classroom.environment(room, dict(os.environ))}
        with open(self.errors, "w") as errors:
            self.process = subprocess.Popen(command, stderr=errors, preexec_fn=self._enter, **pipes)
        self.first = self.grade(room.blocks[0])
        self.start = time.perf_counter() - started

    def _enter(self) -> None:
        if self.group:
            (self.group / "tasks").write_text(str(os.getpid()))

    def _cpu(self) -> float:
        return int((self.group / "cpuacct.usage").read_text()) / 1e9 if self.group else float("nan")

    def grade(self, block: str) -> dict:
        before = self._cpu()
        self.process.stdin.write(f"{block}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.process.args} ended:\n{self.errors.read_text()}")
        return json.loads(line) | {"cpu": self._cpu() - before}

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(60)
        with contextlib.suppress(OSError):  # something in it is still ending
            self.group and self.group.rmdir()


def measure(workload: str, blocks: int, size: int) -> dict:
    """Grades a class with both graders; seconds a submission by grader, block after block, and what else there is to say."""
    with tempfile.TemporaryDirectory(prefix="class-") as folder:
        room = classroom.make(workload, Path(folder), blocks, size)
        own = []
        for _ in range(3):
            alone = Contestant("own", room)
            own.append(alone.first)
            alone.close()
        graders = {kind: Contestant(kind, room) for kind in NAMES}
        wall, cpu = ({kind: [] for kind in NAMES} for _ in range(2))
        for number, block in enumerate(room.blocks[1:]):
            for kind in list(NAMES)[:: 1 if number % 2 else -1]:
                said = graders[kind].grade(block)
                if said["right"] != size:
                    sys.exit(f"{NAMES[kind]} found {said['right']} of {size} submissions of block {block} right, and all are")
                report = said.get("report", (0.0, 0.0))
                wall[kind].append((said["wall"] - report[0]) / size)
                cpu[kind].append((said["cpu"] - report[1]) / size)
                print(f"{workload}, {block}, {NAMES[kind]}: {1000 * wall[kind][-1]:.1f} ms a submission", file=sys.stderr, flush=True)
        everybody = graders["ours"].grade(EVERYBODY)
        for grader in graders.values():
            grader.close()
        clocked = Contestant("stages", room)
        by_stage = [clocked.grade(block)["stages"] for block in room.blocks[1:]]
        clocked.close()
    spent = {name: [[one.get(name, (0.0, 0.0))[i] / size for one in by_stage] for i in range(2)] for name in dict.fromkeys(n for one in by_stage for n in one)}
    return {
        "wall": wall,
        "cpu": cpu,
        "own": {name: median(one[name] for one in own) for name in ("fresh", "again")},
        "start": {kind: graders[kind].start - median(wall[kind]) for kind in NAMES},
        "report": everybody["wall"] / everybody["right"],
        "class": everybody["right"],
        "sandbox": everybody["sandbox"],
        "stages": {name: [median(figures) for figures in both] for name, both in spent.items()},
    }


def overheads(found: dict) -> dict[str, float]:
    """Seconds a submission: ours, stock nbgrader's, and that with the import of torch in every kernel counted to it."""
    ours, stock = median(found["wall"]["ours"]) + found["report"], median(found["wall"]["stock"])
    return {"ours": ours - found["own"]["again"], "stock": stock - found["own"]["fresh"], "stock with imports": stock - found["own"]["again"]}


def markdown(results: dict[str, dict]) -> str:
    """The section of RESULTS.md, but for its heading."""
    some = next(iter(results.values()))
    load = f"load {os.getloadavg()[2]:.1f} over the last 15 minutes"
    lines = [
        f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, {load}; Python {platform.python_version()}, "
        f"torch {version('torch')}, nbgrader {version('nbgrader')}; sandbox level {some['sandbox']}, one worker  ",
        "Milliseconds a submission; wall time is the median over blocks of the class that alternate between the two graders.",
        "",
        "| workload | grader | wall | from - to | CPU of all processes | the notebook and its checks alone | overhead | submissions a minute | start, s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for workload, found in results.items():
        over = overheads(found)
        for kind, name in NAMES.items():
            report = found["report"] if kind == "ours" else 0.0
            walls = [1000 * (one + report) for one in found["wall"][kind]]
            alone = (
                f"{1000 * found['own']['again']:.1f}"
                if kind == "ours"
                else f"{1000 * found['own']['fresh']:.1f} ({1000 * found['own']['again']:.1f} without imports)"
            )
            overhead = f"{1000 * over[kind]:.1f}" + (f" ({1000 * over['stock with imports']:.1f} with imports)" if kind == "stock" else "")
            cells = [f"{workload}, {found['class']} submissions", name, f"{median(walls):.1f}", f"{min(walls):.1f} - {max(walls):.1f}"]
            cells += [f"{1000 * median(found['cpu'][kind]):.1f}", alone, overhead, f"{60000 / median(walls):.0f}", f"{found['start'][kind]:.1f}"]
            lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| target | wanted | measured | |", "|---|---|---|---|"]
    for workload, found in results.items():
        over = overheads(found)
        ratio = median(found["wall"]["stock"]) / (median(found["wall"]["ours"]) + found["report"])
        if workload == "blank":
            lines.append(
                f"| overhead a submission, blank checks | at most {1000 * OVERHEAD:.0f} ms | {1000 * over['ours']:.1f} ms | {_met(over['ours'] <= OVERHEAD)} |"
            )
            share = over["ours"] / over["stock"]
            lines.append(f"| its share of stock nbgrader's, imports counted to the student's code | at most {SHARE} | {share:.3f} | {_met(share <= SHARE)} |")
        lines.append(f"| ratio of throughputs, {workload} | | {ratio:.1f} | |")
    lines += ["", "Where our time goes, by stage (of a run with clocks in it; CPU time of the process that the stage runs in):", ""]
    lines += [f"| stage | {' | '.join(f'{workload}: wall ms | CPU ms' for workload in results)} |", f"|---|{'---|---|' * len(results)}"]
    names = [name for name in dict.fromkeys(name for found in results.values() for name in found["stages"]) if name != MEANWHILE]
    for title, summed in [*((name, [name]) for name in names), ("all of these", names), (MEANWHILE, [MEANWHILE])]:
        sums = [sum(found["stages"].get(name, (0.0, 0.0))[i] for name in summed) for found in results.values() for i in range(2)]
        lines.append(f"| {title} | {' | '.join(f'{1000 * one:.2f}' for one in sums)} |")
    by_the_head = " | ".join(f"{1000 * found['report']:.2f} |" for found in results.values())
    lines.append(f"| the report on the whole class, by the head | {by_the_head} |")
    return "\n".join(lines)


def _met(holds: bool) -> str:
    return "met" if holds else "**missed**"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--submissions", type=int, default=200, metavar="N", help="size of the class with blank checks; ps05_smoothing has a tenth of it")
    parser.add_argument("--small", action="store_true", help="a quick try: ten submissions, two of ps05_smoothing")
    parser.add_argument("--workload", choices=["blank", "ps05_smoothing"], action="append", help="only this one; may be repeated (default: both)")
    options = parser.parse_args()
    if options.submissions < 20:
        parser.error(f"--submissions must be at least 20, got {options.submissions}; for less there is --small")
    sizes = {"blank": (2, 5), "ps05_smoothing": (1, 2)}
    if not options.small:
        sizes = {"blank": (options.submissions // 20, 20), "ps05_smoothing": (max(1, options.submissions // 50), 5)}
    print(markdown({workload: measure(workload, *sizes[workload]) for workload in options.workload or sizes}))


if __name__ == "__main__":
    main()

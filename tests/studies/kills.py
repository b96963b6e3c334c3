"""Kills the grading of a class at random moments, starts it again, and compares what it ends with to a run that nobody disturbed.

    python tests/studies/kills.py [--kills 50] [--seed 1] [--students 6] [--chain 3]

A class is graded in chains: it is killed `chain` times and then runs to its end, with what was kept each time. A moment is a number of results that are
there and a part of the time that a submission takes; so some kills fall into the start and some into the writing of the report. By turns the whole
process group is killed, and the grading process alone; and by turns there are one worker and two. The undisturbed run has two workers. After every kill
all processes that the run started must end by themselves, and after the last run its temporary folder must be empty.
"""

import argparse
import ctypes
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
SET = "ps05_smoothing"
PROMISED = ("report.json", "grades.csv", "feedback/*.html")  # class.html shows times
GONE = 20  # seconds in which what a killed run started has to end


def handed_in(folder: Path, students: int) -> Path:
    """A class: blank notebooks, one with a wrong answer, one that is no notebook, and one that interrupts itself: Ctrl-C means the same to every worker."""
    answers = {0: "return successes / trials", 2: "import signal; signal.raise_signal(signal.SIGINT); return 0.0"}
    folder.mkdir()
    released = json.loads((ROOT / "assignments" / SET / f"{SET}.ipynb").read_text())
    for number in range(students):
        (folder / f"student{number}.ipynb").write_text(json.dumps(released))
    for number, answer in answers.items():
        for cell in released["cells"]:
            if cell["metadata"].get("nbgrader", {}).get("grade_id") == "lower_confidence_bound":
                cell["source"] = f"def lower_confidence_bound(successes, trials, alpha):\n    {answer}"
        (folder / f"student{number}.ipynb").write_text(json.dumps(released))
    (folder / "student1.ipynb").write_text("this is no notebook")
    return folder


class Run:
    """One start of `autograder grade` in a process group of its own."""

    def __init__(self, submitted: Path, out: Path, scratch: Path, workers: int):
        command = [str(Path(sys.executable).with_name("autograder")), "grade", SET, str(submitted), "--out", str(out), "--workers", str(workers)]
        environment = os.environ | {"TMPDIR": str(scratch), "BACKDOORS_SECRET": "a secret of the study of kills, of 32 bytes and more"}
        scratch.mkdir(exist_ok=True)
        self.log = scratch.with_suffix(".log")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL, stderr=log)

    def finish(self) -> None:
        status = self.process.wait(900)
        assert status == 0, f"exit status {status}: {self.log.read_text()}"

    def wait(self, out: Path, results: int, more: float) -> bool:
        """Waits until so many results are there and for some seconds more; False where the run ended before."""
        while stored(out) < results and self.process.poll() is None:
            time.sleep(0.005)
        time.sleep(more)
        return self.process.poll() is None


def stored(out: Path) -> int:
    return len(list((out / "results").glob("[!.]*.json")))


def adopt_orphans() -> None:
    """Makes this process the parent of every descendant whose own parent dies."""
    assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0


def left_behind() -> list[str]:
    """What still runs of the processes that were started here, after a while in which it may end."""
    deadline = time.monotonic() + GONE
    while True:
        alive = []
        for child in psutil.Process().children(recursive=True):
            try:
                if child.ppid() == os.getpid() and child.status() == psutil.STATUS_ZOMBIE:
                    os.waitpid(child.pid, os.WNOHANG)
                else:
                    alive.append(" ".join(child.cmdline())[:200])
            except (psutil.NoSuchProcess, ChildProcessError):
                pass
        if not alive or time.monotonic() > deadline:
            return alive
        time.sleep(0.05)


def promised(out: Path) -> dict[str, bytes]:
    """The bytes that every run of the same class must end with, by file."""
    return {str(path.relative_to(out)): path.read_bytes() for pattern in PROMISED for path in sorted(out.glob(pattern))}


def chain(submitted: Path, place: Path, moments: random.Random, kills: int, students: int, first: int, workers: int) -> dict[str, bytes]:
    """Kills one class's grading so many times and lets it end; what it ended with."""
    out, scratch, done = place / "out", place / "tmp", 0
    while done < kills:
        run = Run(submitted, out, scratch, workers)
        # the broken notebook has a result too; with all of them there the report is written
        if not run.wait(out, moments.randint(stored(out), students), moments.random() * 0.5):
            run.finish()
            shutil.rmtree(out)  # it was through: begin again
            continue
        group = (first + done) % 2 == 0
        (os.killpg if group else os.kill)(run.process.pid, signal.SIGKILL)
        run.process.wait()
        alive, done = left_behind(), done + 1
        print(f"kill {first + done}: {'group' if group else 'process'}, {workers} workers, {stored(out)} of {students} results kept", flush=True)
        assert not alive, f"still running {GONE} s after the kill: {alive}"
    last = Run(submitted, out, scratch, workers)
    last.finish()
    assert not left_behind()
    assert not list(scratch.iterdir()), f"left in the temporary folder: {list(scratch.iterdir())}"
    return promised(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("kills", 50), ("seed", 1), ("students", 6), ("chain", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    adopt_orphans()
    moments = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="kills-") as place:
        place = Path(place)
        submitted = handed_in(place / "submitted", options.students)
        Run(submitted, place / "whole", place / "whole-tmp", 2).finish()
        whole = promised(place / "whole")
        assert len(whole) == 2 + options.students, sorted(whole)
        assert not list((place / "whole-tmp").iterdir())
        done = 0
        while done < options.kills:
            kills, workers = min(options.chain, options.kills - done), 1 + (done // options.chain) % 2
            (place / f"chain-{done}").mkdir()
            ended = chain(submitted, place / f"chain-{done}", moments, kills, options.students, done, workers)
            differing = [name for name in whole.keys() | ended.keys() if whole.get(name) != ended.get(name)]
            assert not differing, f"other bytes after {kills} kills than without: {differing}"
            done += kills
            print(f"{done} kills: the same {len(whole)} files", flush=True)


if __name__ == "__main__":
    main()

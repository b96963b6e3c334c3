"""`make mutants`: judges every mutant of every exercise and writes MUTATION.md. Stopped at any time, it goes on where it was."""

import argparse
import contextlib
import hashlib
import json
import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

from killing import SECRETS, Job, fates, of_set  # noqa: E402
from ledger import REPORT, Fate, read, reasons, section, total, write  # noqa: E402
from tqdm import tqdm  # noqa: E402

from autograder.course import ROOT, owners, require_set  # noqa: E402
from autograder.errors import KitError  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(prog="make mutants", description="Makes mutants of the exercises' references and says which of them the checks kill.")
    parser.add_argument("--set", action="append", metavar="SET", help="a problem set (may be repeated); by default all of them")
    parser.add_argument(
        "--exercise", action="append", metavar="NAME", help="judge this exercise only (may be repeated), print its survivors and write no report"
    )
    parser.add_argument("--processes", type=int, default=2, metavar="N", help="mutants judged at a time (default: 2)")
    options = parser.parse_args()
    try:
        known = {name: problem_set for (_, name), problem_set in owners().items()}
        if unknown := set(options.exercise or ()) - set(known):
            raise KitError(f"--exercise must be one of {', '.join(known)}, got {', '.join(sorted(unknown))}")
        for problem_set in options.set or dict.fromkeys(known[name] for name in options.exercise or known):
            judge(require_set(problem_set), options.exercise, options.processes)
    except KitError as error:
        sys.exit(f"make mutants: {error}")


def judge(problem_set: str, only: list[str] | None, processes: int) -> None:
    """Judges the mutants of a set; without `only` its section of the report is written."""
    made = of_set(problem_set)
    why = reasons(problem_set, [mutant for exercise in made.values() for mutant in exercise])
    wanted = {name: mutants for name, mutants in made.items() if not only or name in only}
    said = _judged(problem_set, [mutant for mutants in wanted.values() for mutant in mutants], processes)
    text = section(
        problem_set, {name: [Fate(one, tuple(said[one.id, secret] for secret in SECRETS)) for one in mutants] for name, mutants in wanted.items()}, why
    )
    if not only:
        write(problem_set, text)
    print(text if only else f"{problem_set}: {100 * total(read(text)[0].values()).scores[0]:.1f}% of the mutants that are not equivalent are killed: {REPORT}")


def _judged(problem_set: str, mutants: list, processes: int) -> dict[tuple[str, str], str]:
    """What the checks say, by mutant and secret; a file remembers it while nothing changes that it rests on."""
    path = ROOT / "build" / "mutants" / f"{problem_set}-{_state(problem_set)}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    known = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        with contextlib.suppress(ValueError):  # a line that was being written when the run was stopped
            mutant, secret, said = json.loads(line)
            known[mutant, secret] = said
    jobs = [Job(mutant, secret) for mutant in mutants for secret in SECRETS if (mutant.id, secret) not in known]
    with path.open("a") as file, tqdm(total=len(jobs), desc=problem_set, unit="run") as bar:

        def tell(job: Job, said: str) -> None:
            known[job.mutant.id, job.secret] = said
            file.write("\n" + json.dumps([job.mutant.id, job.secret, said]))
            file.flush()
            bar.update()

        if jobs:
            fates(problem_set, jobs, tell, processes)
    return known


def _state(problem_set: str) -> str:
    """Names what a fate rests on: the library, the grader, the set's checks and notebook, and this machine."""
    folders = ("lib", "autograder", f"solutions/{problem_set}", "tests/mutation")
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".ipynb") and path.is_file())
    value = hashlib.sha256()
    for path in paths:
        value.update(path.read_bytes())
    return value.hexdigest()[:12]


if __name__ == "__main__":
    main()

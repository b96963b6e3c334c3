"""`make demo`: a small class hands in a problem set, and stock nbgrader grades it with this grader inside.

Builds the set, makes twelve notebooks (perfect, honest variants, mistakes, blank, cheats), grades them in a scratch course folder through nbgrader's own
commands, prints who got what and why, and ends with status 1 if anybody got what is not due.
"""

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat

from autograder import building, reporting, trials
from autograder.course import ROOT, exercises

SET = "ps05_smoothing"
COURSE = ROOT / "build" / "demo"
BIN = Path(sys.executable).parent
START = time.monotonic()

VARIANTS = ["vectorised", "chatty"]  # chatty prints and warns
MISTAKES = [
    "lower_confidence_bound_half_alpha",
    "count_votes_variance",
    "predict_never_abstains",
    "certify_samples_reused",
    "fooled_model_plain_ball",
]
CHEATS = ["imported_reference", "patched_comparisons", "wrote_gradebook"]


def say(text: str) -> None:
    print(f"[{time.monotonic() - START:5.1f} s] {text}", flush=True)


def code(kind: str, name: str) -> str:
    return (ROOT / "tests" / kind / SET / f"{name}.py").read_text(encoding="utf-8")


def classroom() -> dict[str, tuple[str, nbformat.NotebookNode]]:
    """What each student is and hands in, by id."""
    students = {"perfect": ("the solutions", trials.solved(SET)), "blank": ("the notebook as released", trials.released(SET))}
    for kind, names, base in (("variants", VARIANTS, "solved"), ("mutants", MISTAKES, "solved"), ("cheats", CHEATS, "released")):
        what = {"variants": "honest", "mutants": "mistake", "cheats": "cheat"}[kind]
        for name in names:
            text = code(kind, name)
            students[f"{what}-{name}"] = (text.split("\n")[0].lstrip("# "), trials.submission(SET, text, base))
    return students


def make_course(students: dict) -> None:
    """A course folder as an instructor keeps it: configuration, source, what was handed in, and a roster."""
    shutil.rmtree(COURSE, ignore_errors=True)
    shutil.copytree(ROOT / "solutions" / SET, COURSE / "solutions" / SET)
    shutil.copyfile(ROOT / "nbgrader_config.py", COURSE / "nbgrader_config.py")
    for student, (_, notebook) in students.items():
        place = COURSE / "submitted" / student / SET / f"{SET}.ipynb"
        place.parent.mkdir(parents=True)
        nbformat.write(notebook, place)
    with open(COURSE / "roster.csv", "w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "first_name", "last_name"])
        rows.writerows([student, *(student.split("-") + ["student"])[:2]] for student in students)


def nbgrader(*arguments: str, steps: dict[str, str] | None = None) -> None:
    """Runs a command of stock nbgrader in the course folder; a line of its log that holds a key of `steps` is said as the value.

    Raises:
        SystemExit: where it fails, with its log.
    """
    say("nbgrader " + " ".join(arguments))
    environment = os.environ | {"PATH": os.pathsep.join([str(BIN), os.environ.get("PATH", "")]), "OMP_NUM_THREADS": "1"}
    log = []
    with subprocess.Popen(
        [BIN / "nbgrader", *arguments], cwd=COURSE, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        for line in process.stdout:
            log.append(line)
            for key, text in (steps or {}).items():
                if key in line:
                    say(text)
    if process.returncode:
        sys.exit("".join(log[-40:]) + f"nbgrader {arguments[0]} failed with status {process.returncode}")


def due(student: str, most: int) -> range:
    """The scores that are right for a student."""
    if student == "perfect" or student.startswith("honest"):
        return range(most, most + 1)
    return range(most) if student.startswith("mistake") else range(1)


def main() -> None:
    say(f"building {SET}")
    building.build(SET)
    students = classroom()
    make_course(students)
    say(f"a class of {len(students)} in {COURSE.relative_to(ROOT)}: " + ", ".join(students))
    nbgrader("generate_assignment", SET)
    nbgrader("db", "student", "import", "roster.csv")
    order = sorted(students)
    steps = {f"Autograding {COURSE / 'autograded' / student}": f"  {i + 1} of {len(order)}: {student}" for i, student in enumerate(order)}
    steps |= {f"Autograding {Path('autograded') / student}": text for student, text in zip(order, steps.values(), strict=True)}
    nbgrader("autograde", SET, steps=steps)
    nbgrader("generate_feedback", SET)
    nbgrader("export", "--to", "gradebook.csv")

    reports = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(COURSE.glob(f"reports/{SET}/nbgrader/*.json"))]
    report = reporting.merge(map(reporting.load, reports))
    reporting.write(report, COURSE / "report")
    print(reporting.table(report))
    for student, (what, _) in sorted(students.items()):
        print(f"{student}: {what}")
    with open(COURSE / "gradebook.csv", encoding="utf-8", newline="") as file:
        gradebook = {row["student_id"]: float(row["raw_score"]) for row in csv.DictReader(file)}
    most = sum(one.points for one in exercises(SET))
    graded = {one.student: one.score for one in report.submissions}
    wrong = [student for student in students if graded.get(student) not in due(student, most) or gradebook.get(student) != graded[student]]
    print(
        f"""
The gradebook ({(COURSE / "gradebook.db").relative_to(ROOT)}) holds these scores; written answers, worth more, wait for a person.
feedback pages of nbgrader   {(COURSE / "feedback").relative_to(ROOT)}/<student>/{SET}/{SET}.html
feedback pages of this kit   {(COURSE / "report" / "feedback").relative_to(ROOT)}/<student>.html
the class in one picture     {(COURSE / "report" / "class.html").relative_to(ROOT)}"""
    )
    say("done" if not wrong else f"these students got what is not due: {', '.join(wrong)}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()

"""The command `autograder`. Every error that a user can mend is one sentence on stderr and exit status 2."""

import json
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path

import click

from autograder import __version__
from autograder.errors import KitError


class Commands(click.Group):
    """A group whose commands end with one sentence where a KitError tells what was wrong."""

    def invoke(self, context: click.Context) -> object:
        try:
            return super().invoke(context)
        except KitError as error:
            click.echo(f"autograder: {error}", err=True)
            sys.exit(2)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="autograder")
def main() -> None:
    """Builds, releases and grades the problem sets of this course."""


@main.command()
@click.argument("sets", nargs=-1, metavar="[SET]...")
def build(sets: tuple[str, ...]) -> None:
    """Make the solved notebook and the assignment of each SET (default: all) from its manuscript and the library's source."""
    from autograder import building

    for problem_set in [building.require_set(name) for name in sets] or building.sets():
        building.build(problem_set)
        click.echo(f"built solutions/{problem_set}/{problem_set}.ipynb and assignments/{problem_set}")


@main.command()
@click.argument("problem_set", required=False, metavar="[SET]")
@click.option("--to", type=click.Path(path_type=Path), required=True, help="Folder in which the set's own folder is made.")
@click.option("--all", "every", is_flag=True, help="Release every set.")
@click.option("--blank-from", metavar="SET", help="Blank exercises from this earlier set on, not only from SET: for extended deadlines.")
@click.option("--update", is_flag=True, help="Renew folders that exist, but leave their notebooks as they are.")
def release(problem_set: str | None, to: Path, every: bool, blank_from: str | None, update: bool) -> None:
    """Make the students' edition of SET: notebook, data, library with blanks, public checks, requirements.txt."""
    from autograder import building, releasing

    if every == (problem_set is not None):
        raise KitError("name one set to release, or give --all")
    for name in building.sets() if every else [problem_set]:
        click.echo(f"released {releasing.release(name, to, blank_from, update)}")


@main.command()
@click.argument("problem_set", metavar="SET")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for report.json, the tables, the feedback pages and, in results/, what is done.")
@click.option("--course", type=click.Path(path_type=Path), metavar="DIR", help="Grade submitted/*/SET of nbgrader's course folder DIR for nbgrader.")
@click.option("--student", metavar="NAME", help="Name of the student, where PATH is one notebook (default: the file's name).")
@click.option("--secret-file", type=click.Path(path_type=Path), help="File of the course's secret (default: secret.key in the course's folder).")
@click.option("--reseed", multiple=True, metavar="STUDENT", help="Draw new inputs for this student, and say so in the report; may be repeated.")
@click.option("--min-sandbox", type=click.IntRange(1, 3), help="Refuse a weaker sandbox than this level (default: 2; with --scheduler 3, exactly).")
@click.option("--unsandboxed", is_flag=True, help="Grade without a sandbox: only what you wrote yourself.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, metavar="N", help="Processes of this machine that grade.")
@click.option("--scheduler", metavar="ADDRESS", help="Grade on the workers of a Dask scheduler, tls://HOST:PORT (docs/cluster.md).")
@click.option("--insecure-scheduler", is_flag=True, help="Accept a scheduler without TLS: whoever reaches its port runs code as you.")
@click.option("--canvas", type=click.Path(path_type=Path), metavar="GRADEBOOK", help="Also fill this gradebook, exported from Canvas: OUT/canvas.csv.")
@click.option("--assignment", metavar="NAME", help="The gradebook's column: 'Name (1234)', its name or its number (default: the one named as SET).")
def grade(
    problem_set: str,
    paths: tuple[Path, ...],
    out: Path | None,
    course: Path | None,
    student: str | None,
    secret_file: Path | None,
    reseed: tuple[str, ...],
    min_sandbox: int | None,
    unsandboxed: bool,
    workers: int,
    scheduler: str | None,
    insecure_scheduler: bool,
    canvas: Path | None,
    assignment: str | None,
) -> None:
    """Grade notebooks, folders and archives of SET and write report.json, tables and feedback pages to a folder.

    What is done is kept: a run that was stopped, or killed, goes on where it was when the same command is given again.
    """
    from autograder import building, exporting, grading, reporting

    building.require_set(problem_set)
    paths, out, store = _places(problem_set, paths, out, course)
    if assignment and not canvas:
        raise KitError(f"--assignment {assignment} names a column of the gradebook that --canvas GRADEBOOK gives: give both")
    gradebook = exporting.read_gradebook(canvas, assignment, problem_set) if canvas else None
    if scheduler and workers > 1:
        raise KitError(f"--workers {workers} are processes of this machine, and --scheduler {scheduler} names others: give one of the two")
    if student is not None and (scheduler or workers > 1):
        raise KitError(f"--student {student} names who wrote one notebook, which is graded here: leave out --workers and --scheduler")
    reporting.prepare(out)
    min_sandbox = (3 if scheduler else 2) if min_sandbox is None else min_sandbox
    common = {"secret": _secret(secret_file), "min_sandbox": 0 if unsandboxed else min_sandbox, "store": store}
    _warn_of_another_secret(out, problem_set, grading.fingerprint(common["secret"] or grading.course_secret()))
    if student is None:
        who = {"workers": workers, "scheduler": scheduler, "insecure_scheduler": insecure_scheduler, "say": partial(click.echo, err=True)}
        try:
            report, times = grading.grade_paths(problem_set, paths, reseed=reseed, progress=sys.stderr.isatty(), **common, **who)
        except KeyboardInterrupt:
            click.echo(f"autograder: stopped; what is done lies in {store}, and the same command goes on from there", err=True)
            sys.exit(130)
    elif len(paths) == 1 and paths[0].is_file() and set(reseed) <= {student}:
        report, times = grading.grade(problem_set, paths[0], student, reseed=len(reseed), **common), None
    else:
        raise KitError(f"--student {student} names who wrote one notebook: give one file, and --reseed nobody else")
    reporting.write(report, out, times)
    click.echo(reporting.table(report))
    if gradebook:
        _write_gradebook(*exporting.fill(gradebook, report), out / "canvas.csv")


def _places(problem_set: str, paths: tuple[Path, ...], out: Path | None, course: Path | None) -> tuple[tuple[Path, ...], Path, Path]:
    """What is graded, where the report goes, and where the results lie."""
    if course is None:
        if not paths or out is None:
            raise KitError("name at least one PATH and a folder with --out, or the course folder of nbgrader with --course")
        return paths, out, out / "results"
    if paths:
        raise KitError(f"--course {course} says what is graded; leave {paths[0]} out")
    paths = tuple(sorted((course / "submitted").glob(f"*/{problem_set}")))
    if not paths:
        raise KitError(f"there is no submission of {problem_set} in {course / 'submitted'}, where nbgrader keeps them as STUDENT/{problem_set}")
    return paths, out or course / "reports" / problem_set, course / "results" / problem_set


def _warn_of_another_secret(out: Path, problem_set: str, fingerprint: str) -> None:
    """Says so where the report in the output folder rests on another secret."""
    try:
        before = json.loads((out / "report.json").read_bytes())
        other = before["secret_fingerprint"] if before["set"] == problem_set else fingerprint
    except (OSError, ValueError, TypeError, KeyError):
        return
    if other != fingerprint:
        inputs = "every student's inputs are drawn anew, and grades may change"
        click.echo(f"warning: the report in {out} rests on another secret (fingerprint {other}, now {fingerprint}): {inputs}", err=True)


def _secret(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        secret = path.read_bytes()
    except OSError as error:
        raise KitError(f"cannot read the secret file {path}: {error.strerror}") from error
    if len(secret) < 32:
        raise KitError(f"the secret file {path} holds {len(secret)} bytes, and a secret has at least 32")
    return secret


@main.command()
@click.argument("problem_set", metavar="SET")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
def precheck(problem_set: str, paths: tuple[Path, ...]) -> None:
    """Say what is wrong with notebooks of SET before nbgrader reads them; exit status 1 if anything is."""
    from autograder import building, precheck

    building.require_set(problem_set)
    wrong = False
    for path in paths:
        try:
            faults = precheck.precheck(problem_set, path)
        except KitError as error:  # the other paths are looked at all the same
            faults = [str(error)]
        wrong = wrong or bool(faults)
        for line in faults or ["nothing is wrong"]:
            click.echo(f"{path}: {line}")
    sys.exit(1 if wrong else 0)


@main.command()
@click.argument("problem_set", metavar="SET")
def check(problem_set: str) -> None:
    """List the exercises of SET and their checks, and how probable it is at most that a correct submission fails one."""
    from autograder import building, declarations

    exercises = building.exercises(problem_set)
    checks = declarations.checks(problem_set, building.ROOT)
    click.echo(f"{problem_set}: {building.load_manuscript(problem_set).title} ({sum(one.points for one in exercises)} points)")
    for exercise in exercises:
        own = [one for one in checks if one.exercise == exercise.name]
        click.echo(f"{exercise.name}: {exercise.points} points; false fail {sum(one.false_fail for one in own):.3g}")
        for one in own:
            click.echo(f"  {one.points}  {'hidden' if one.hidden else 'public'}  {one.statement}  {one.name}")
    bound = sum(one.false_fail for one in checks)
    click.echo(f"a correct submission fails a check of the set with probability at most {bound:.3g}, the sum over its checks")


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects.")
def statements(as_json: bool) -> None:
    """Print the ledger: which statement is implemented where, verified by which tests and checks, taught by which exercises."""
    from autograder import statements

    entries = statements.ledger()
    if as_json:
        click.echo(json.dumps([asdict(entry) for entry in entries], indent=1, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("statement", "implemented", "tests", "checks", "exercises")
    for entry in entries:
        implemented = "\n".join(name.removeprefix("backdoors.") for name in entry.implemented)
        table.add_row(entry.id, implemented, str(len(entry.tests)), str(len(entry.checks)), "\n".join(entry.exercises))
    Console(width=None if sys.stdout.isatty() else 140).print(table)
    click.echo(f"{sum(entry.complete for entry in entries)} of {len(entries)} statements are implemented, tested, checked and taught")


@main.group()
def export() -> None:
    """Write grades in the form that Canvas or Gradescope reads."""


@export.command("canvas")
@click.argument("report", type=click.Path(path_type=Path), metavar="REPORT")
@click.option("--to", type=click.Path(path_type=Path), required=True, help="File to write, a CSV that Canvas imports.")
@click.option("--gradebook", type=click.Path(path_type=Path), help="Gradebook exported from Canvas: one column is filled, the rest stays as it is.")
@click.option("--assignment", metavar="NAME", help="The gradebook's column: 'Name (1234)', its name or its number (default: the one named as the set).")
def export_canvas(report: Path, to: Path, gradebook: Path | None, assignment: str | None) -> None:
    """Put the scores of REPORT, a folder that `grade` wrote or its report.json, into Canvas's gradebook.

    Without a gradebook a small one is made, which Canvas reads too but in which it may have to ask who is who.
    """
    from autograder import exporting, reporting

    found = reporting.read_report(report)
    if gradebook is None:
        content, sentences = exporting.minimal_gradebook(found, assignment), []
    else:
        content, sentences = exporting.fill(exporting.read_gradebook(gradebook, assignment, found.set), found)
    _write_gradebook(content, sentences, to)


def _write_gradebook(content: bytes, sentences: list[str], to: Path) -> None:
    from autograder import reporting

    try:
        reporting.write_file(to, content)
    except OSError as error:
        raise KitError(f"cannot write {to}: {error.strerror}") from error
    click.echo("\n".join([f"wrote {to}", *sentences]))


HIDDEN = click.option(
    "--hidden",
    type=click.Choice(["visible", "after_due_date", "after_published", "hidden"]),
    default="after_due_date",
    show_default=True,
    help="When students see on Gradescope how hidden checks went; before, they see no total.",
)


@export.command("gradescope")
@click.argument("problem_set", metavar="SET")
@click.option("--to", type=click.Path(path_type=Path), required=True, help="File to write, a zip that Gradescope takes as an autograder.")
@click.option("--secret-file", type=click.Path(path_type=Path), help="File of the course's secret (default: secret.key in the course's folder).")
@HIDDEN
def export_gradescope(problem_set: str, to: Path, secret_file: Path | None, hidden: str) -> None:
    """Make the zip with which Gradescope runs this grader on every submission of SET. It holds a key: give it to nobody else."""
    from autograder import gradescope, grading

    click.echo(f"wrote {gradescope.bundle(problem_set, to, _secret(secret_file) or grading.course_secret(), hidden)}")


@export.command("results")
@click.argument("report", type=click.Path(path_type=Path), metavar="REPORT")
@click.option("--to", type=click.Path(path_type=Path), required=True, help="Folder for one file a student.")
@HIDDEN
def export_results(report: Path, to: Path, hidden: str) -> None:
    """Write REPORT, a folder that `grade` wrote or its report.json, as Gradescope's results.json, one file a student."""
    from autograder import gradescope, reporting

    click.echo(f"wrote {len(gradescope.write_results(reporting.read_report(report), to, hidden))} files to {to}")

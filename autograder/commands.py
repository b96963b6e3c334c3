"""The command `autograder`. Every error that a user can mend is one sentence on stderr and exit status 2."""

import json
import sys
from dataclasses import asdict
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
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for report.json, the tables and the feedback pages.")
@click.option("--student", metavar="NAME", help="Name of the student, where PATH is one notebook (default: the file's name).")
@click.option("--secret-file", type=click.Path(path_type=Path), help="File of the course's secret (default: secret.key in the course's folder).")
@click.option("--reseed", multiple=True, metavar="STUDENT", help="Draw new inputs for this student, and say so in the report; may be repeated.")
@click.option("--min-sandbox", type=click.IntRange(0, 3), default=2, show_default=True, help="Refuse to grade in a weaker sandbox than this level.")
@click.option("--unsandboxed", is_flag=True, help="Grade without a sandbox: only what you wrote yourself.")
def grade(
    problem_set: str,
    paths: tuple[Path, ...],
    out: Path,
    student: str | None,
    secret_file: Path | None,
    reseed: tuple[str, ...],
    min_sandbox: int,
    unsandboxed: bool,
) -> None:
    """Grade notebooks, folders and archives of SET and write report.json, tables and feedback pages to a folder."""
    from autograder import building, grading, reporting

    building.require_set(problem_set)
    reporting.prepare(out)
    common = {"secret": _secret(secret_file), "min_sandbox": 0 if unsandboxed else min_sandbox}
    if student is None:
        report, times = grading.grade_paths(problem_set, paths, reseed=reseed, progress=sys.stderr.isatty(), **common)
    elif len(paths) == 1 and paths[0].is_file() and set(reseed) <= {student}:
        report, times = grading.grade(problem_set, paths[0], student, reseed=len(reseed), **common), None
    else:
        raise KitError(f"--student {student} names who wrote one notebook: give one file, and --reseed nobody else")
    reporting.write(report, out, times)
    click.echo(reporting.table(report))


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
    """List the exercises of SET and their checks."""
    from autograder import building, declarations

    exercises = building.exercises(problem_set)
    click.echo(f"{problem_set}: {building.load_manuscript(problem_set).title} ({sum(one.points for one in exercises)} points)")
    for exercise in exercises:
        click.echo(f"{exercise.name}: {exercise.points} points")
        for one in declarations.checks(problem_set, building.ROOT):
            if one.exercise == exercise.name:
                click.echo(f"  {one.points}  {'hidden' if one.hidden else 'public'}  {one.statement}  {one.name}")


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

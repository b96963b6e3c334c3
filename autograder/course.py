"""A course as its folders hold it: the problem sets in order, and each with manuscript, library, checks and statements resolved to each other."""

from dataclasses import dataclass
from pathlib import Path

from autograder import blanking, declarations, linking, manuscript
from autograder.errors import KitError
from autograder.manuscript import Manuscript
from autograder.naming import Import, Library

ROOT = Path(__file__).resolve().parent.parent
VERBS = ("train", "plant", "activate", "check")  # a construction's verbs are compositions of exercises; `check` is the notebook's own


@dataclass(frozen=True)
class Exercise:
    """A function that students write.

    points: the sum of its checks' points.
    statements: the ids that its checks name, in their order.
    uses: the exercises above it that it calls, itself or through what it calls, in notebook order.
    lines: lines of code of the reference's body.
    """

    name: str
    module: str
    points: int
    statements: tuple[str, ...]
    uses: tuple[str, ...]
    lines: int


@dataclass(frozen=True)
class ProblemSet:
    """A manuscript with everything that it refers to, resolved."""

    manuscript: Manuscript
    library: Library
    exercises: tuple[Exercise, ...]
    imports: tuple[Import, ...]
    sources: dict[str, str]  # of each statement that a check names: the work and number it comes from


def sets(root: Path = ROOT) -> tuple[str, ...]:
    """The problem sets of a course, in order: the folders of solutions/ that hold a manuscript of their name."""
    return tuple(sorted(path.stem for path in (Path(root) / "solutions").glob("*/*.md") if path.stem == path.parent.name))


def require_set(problem_set: str, root: Path = ROOT) -> str:
    """The set's name, if the course has it."""
    known = sets(root)
    if problem_set not in known:
        raise KitError(f"unknown problem set {problem_set!r}: {Path(root) / 'solutions'} holds {', '.join(known) or 'none'}")
    return problem_set


def load_manuscript(problem_set: str, root: Path = ROOT) -> Manuscript:
    """The manuscript solutions/<set>/<set>.md."""
    require_set(problem_set, root)
    return manuscript.read(Path(root) / "solutions" / problem_set / f"{problem_set}.md")


def owners(root: Path = ROOT) -> dict[tuple[str, str], str]:
    """The set of every exercise of the course, by the exercise's module and name."""
    found: dict[tuple[str, str], str] = {}
    names: dict[str, str] = {}
    for problem_set in sets(root):
        for cell in load_manuscript(problem_set, root).of("exercise"):
            if cell.name in names:
                raise KitError(f"{problem_set}: exercise names are unique in the course, and {cell.name} stands in {names[cell.name]} already")
            if cell.name in VERBS:
                raise KitError(f"{problem_set}: no exercise may be named {cell.name} ({', '.join(VERBS)} are taken)")
            if not manuscript.GRADE_ID.fullmatch(f"check-{cell.name}"):
                raise KitError(f"{problem_set}: the exercise name {cell.name!r} must be ASCII letters, digits and _, at most 58 characters")
            names[cell.name] = found[cell.module, cell.name] = problem_set
    return found


def exercises(problem_set: str, root: Path = ROOT) -> list[Exercise]:
    """The exercises of a set in notebook order."""
    return list(resolve(problem_set, root).exercises)


def resolve(problem_set: str, root: Path = ROOT) -> ProblemSet:
    """A set with its exercises, their checks and its imports.

    Raises:
        KitError: if anything that the manuscript, the library and the checks say of each other does not hold.
    """
    text, library, mine = load_manuscript(problem_set, root), Library(Path(root) / "lib"), owners(root)
    for cell in text.of("copy"):
        if (cell.module, cell.name) in mine:
            raise KitError(f"{problem_set}: cell {cell.number} copies {cell.target}, an exercise of {mine[cell.module, cell.name]}")
    order = sets(root)
    links = linking.link(text, library, mine, set(order[order.index(problem_set) + 1 :]))
    checks, known = declarations.checks(problem_set, root), declarations.statements(root)
    names = {cell.name for cell in text.of("exercise")}
    for check in checks:
        if check.exercise not in names:
            raise KitError(f"{check.node} checks {check.exercise!r}, which is no exercise of {problem_set}")
        if check.statement not in known:
            raise KitError(f"{check.node} names the statement {check.statement!r}, which autograder/statements.tsv does not list")
    found = []
    for cell in text.of("exercise"):
        own = [check for check in checks if check.exercise == cell.name]
        if not own:
            raise KitError(f"{problem_set}: no check in autograder/checks/{problem_set} declares the exercise {cell.name}")
        ids = tuple(dict.fromkeys(check.statement for check in own))
        lines = blanking.size(library.source(cell.module), cell.name, cell.module)
        found.append(Exercise(cell.name, cell.module, sum(check.points for check in own), ids, links.uses[cell.name], lines))
    return ProblemSet(text, library, tuple(found), links.imports, {i: known[i].source for one in found for i in one.statements})

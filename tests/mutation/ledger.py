"""The mutation report: what was found of each mutant, and why those that live may live."""

import hashlib
import re
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mutating import Mutant

from autograder.errors import KitError

HERE = Path(__file__).parent
REPORT, REASONS = HERE / "MUTATION.md", HERE / "reasons.toml"
HEAD = """\
# Mutation report

Written by `make mutants`, never by hand. A machine (`mutating.py`) makes every copy of an exercise's reference with one small mistake in it, and the checks
of the exercise judge each copy at three fixed secrets.

- **Killed**: it loses points at every one of them, because an answer is wrong, because it raises (the column says how many), or at a limit of time or memory.
- **Equivalent**: it does what the exercise's docstring says on all inputs that the docstring admits. `reasons.toml` says why, mutant by mutant; a reason for
  a mutant that is killed, or that there is no more, is an error.
- **Survived**: all others, those included that are killed at some secrets only.

The score is killed / (made - equivalent), and beside it the same without those that raise, which any check would kill; both must reach 95% in every set.
A test compares this file with the mutants of today's references, and judges a sample of them again. Lines are as `ast.unparse` writes them.
"""


@dataclass(frozen=True)
class Fate:
    """What became of a mutant: "survived", or how the checks killed it, at each secret in order."""

    mutant: Mutant
    said: tuple[str, ...]

    @property
    def killed(self) -> bool:
        return "survived" not in self.said


@dataclass(frozen=True)
class Row:
    """The counts of one exercise."""

    made: int
    killed: int
    raised: int
    survived: int
    equivalent: int
    digest: str

    @property
    def scores(self) -> tuple[float, float]:
        """The share that is killed of those that are not equivalent; and the same without those that raise."""
        alive = self.made - self.equivalent
        return tuple(1.0 if whole == 0 else part / whole for part, whole in ((self.killed, alive), (self.killed - self.raised, alive - self.raised)))


def reasons(problem_set: str, known: Sequence[Mutant], path: Path = REASONS) -> dict[str, tuple[str, str]]:
    """Of a set's mutants, by id: "equivalent" or "survivor", and why.

    Raises:
        KitError: if a reason names a mutant that does not exist, or one mutant has two.
    """
    exercises, found = {mutant.id: mutant.exercise for mutant in known}, {}
    for kind, entries in tomllib.loads(path.read_text(encoding="utf-8")).get(problem_set, {}).items():
        for entry in entries:
            for one in entry["mutants"]:
                if exercises.get(one) != entry["exercise"]:
                    raise KitError(f"{path.name} gives a reason for the mutant {one} of {entry['exercise']}, and there is none such today: {entry['why']}")
                if one in found:
                    raise KitError(f"{path.name} gives two reasons for the mutant {one} of {entry['exercise']}: keep one")
                found[one] = kind, " ".join(entry["why"].split())
    return found


def digest(mutants: Sequence[Mutant]) -> str:
    """Names a set of mutants."""
    return hashlib.sha256(" ".join(sorted(mutant.id for mutant in mutants)).encode()).hexdigest()[:12]


def section(problem_set: str, found: dict[str, list[Fate]], why: dict[str, tuple[str, str]]) -> str:
    """The report of one set.

    Raises:
        KitError: if a mutant is killed that is said to be equivalent or to survive.
    """
    fates = [fate for exercise in found.values() for fate in exercise]
    if wrong := [fate.mutant for fate in fates if fate.killed and fate.mutant.id in why]:
        raise KitError(f"{REASONS.name} gives reasons why mutants live that are killed: {', '.join(f'{one.exercise} {one.id}' for one in wrong)}")
    rows = {name: _row(exercise, why) for name, exercise in found.items()}
    lines = [f"## {problem_set}", "", "| exercise | made | killed | by raising | survived | equivalent | score | without raising | mutants |"]
    lines += ["|---|---|---|---|---|---|---|---|---|", *(_line(name, row) for name, row in rows.items()), _line("**all**", total(rows.values())), ""]
    operators = Counter(fate.mutant.operator for fate in fates)
    lines += [f"Operators: {', '.join(f'{name} {count}' for name, count in operators.most_common())}.", ""]
    for title, kind in (("Survivors", "survivor"), ("Equivalent", "equivalent")):
        alive = [fate for fate in fates if not fate.killed and why.get(fate.mutant.id, ("survivor", ""))[0] == kind]
        lines += [f"### {title}", "", *(line for fate in alive for line in _entry(fate, why)), *([] if alive else ["None.", ""])]
    return "\n".join(lines)


def write(problem_set: str, text: str, path: Path = REPORT) -> None:
    """Puts a set's section in the place of its old one; sections stand in the order of their names."""
    parts = sections(path) | {problem_set: text}
    path.write_text("\n".join([HEAD, *(parts[name].rstrip() + "\n" for name in sorted(parts))]), encoding="utf-8")


def sections(path: Path = REPORT) -> dict[str, str]:
    """The sections of the report by set."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return {part.split("\n", 1)[0]: "## " + part for part in re.split(r"^## ", text, flags=re.M)[1:]}


def read(text: str) -> tuple[dict[str, Row], set[str]]:
    """The rows of a section by exercise, and the ids of the mutants that it says live."""
    rows = {}
    for name, *numbers, _, _, names in re.findall(r"^\| (\w+) \|" + r" (\d+) \|" * 5 + r" ([\d.]+%) \| ([\d.]+%) \| `(\w+)` \|$", text, flags=re.M):
        rows[name] = Row(*map(int, numbers), names)
    return rows, set(re.findall(r"^- `(\w+)`", text, flags=re.M))


def total(rows) -> Row:
    rows = list(rows)
    sums = [sum(getattr(row, name) for row in rows) for name in ("made", "killed", "raised", "survived", "equivalent")]
    return Row(*sums, hashlib.sha256("".join(row.digest for row in rows).encode()).hexdigest()[:12])


def _row(fates: list[Fate], why: dict[str, tuple[str, str]]) -> Row:
    killed = [fate for fate in fates if fate.killed]
    equivalent = sum(why.get(fate.mutant.id, ("",))[0] == "equivalent" for fate in fates)
    raised = sum(set(fate.said) == {"raised"} for fate in killed)
    return Row(len(fates), len(killed), raised, len(fates) - len(killed) - equivalent, equivalent, digest([fate.mutant for fate in fates]))


def _line(name: str, row: Row) -> str:
    numbers = (row.made, row.killed, row.raised, row.survived, row.equivalent)
    return f"| {name} | {' | '.join(map(str, numbers))} | {' | '.join(f'{100 * score:.1f}%' for score in row.scores)} | `{row.digest}` |"


def _entry(fate: Fate, why: dict[str, tuple[str, str]]) -> list[str]:
    mutant = fate.mutant
    some = f"; killed at {sum(one != 'survived' for one in fate.said)} of {len(fate.said)} secrets" if set(fate.said) != {"survived"} else ""
    reason = why.get(mutant.id, ("", "no reason is given"))[1]
    return [
        f"- `{mutant.id}` {mutant.exercise}, {mutant.operator}{some}. {reason}",
        "",
        "  ```diff",
        *(f"  {line}" for line in mutant.diff.splitlines()),
        "  ```",
        "",
    ]

"""How the cells of a notebook hang together: what the first cell must import, which exercises call which, and what must not be.

The free names of an exercise mean what they mean in its module. In the notebook, another exercise or copied function of the set must therefore
stand above it, and everything else is imported; so the student's functions call each other, and whatever is no exercise is the library's.
"""

import ast
from dataclasses import dataclass

from autograder import blanking
from autograder.errors import KitError
from autograder.manuscript import Cell, Manuscript
from autograder.naming import BUILTINS, Import, Library, attributes, bound, definitions, imports, needed

Place = tuple[str, str]  # a module of the library and a name that it defines


@dataclass(frozen=True)
class Links:
    """What a manuscript's exercises and copies need: import lines, and of each, by its name, the exercises above it that it reaches."""

    imports: tuple[Import, ...]
    uses: dict[str, tuple[str, ...]]


def link(manuscript: Manuscript, library: Library, owners: dict[Place, str], later: set[str]) -> Links:
    """Resolves every name of a manuscript.

    Args:
        owners: the set of every exercise of the course.
        later: the sets that come after this one.

    Raises:
        KitError: if a name resolves to nothing, to something below, to a later set's exercise, or to two things.
    """
    here = {(cell.module, cell.name) for cell in manuscript.of("exercise", "copy")}
    barred = here | {place for place, owner in owners.items() if owner in later}
    cells = {cell.name: cell.target for cell in manuscript.of("exercise", "copy")}
    lines: set[Import] = set()
    above: dict[Place, tuple[str, ...]] = {}
    for cell in manuscript.of("exercise", "copy"):
        if cells[cell.name] != cell.target or (cell.module, cell.name) in above:
            raise KitError(f"{manuscript.set}: cell {cell.number} defines {cell.name}, which another cell defines too")
        reached: set[str] = set()
        source = blanking.text(library.source(cell.module), cell.name, cell.module)
        _require_plain_calls(cell.target, source, library.imports(cell.module), library, barred)
        for name in sorted(needed(source)):
            for place, line in _meanings(cell, name, library):
                if place in above and name == place[1]:
                    reached |= {*above[place], *([name] if place in owners else [])}
                elif place in barred:
                    raise KitError(f"{cell.target} uses {name}, {_fault(place, name, here, owners)}")
                else:
                    clash = [known.line for known in lines if _clash(known, line)] + [cells[other] for other in cells if other == line.binds]
                    if clash:
                        raise KitError(f"{cell.target} needs `{line.line}`, but the notebook has `{clash[0]}`: one name, two meanings")
                    lines.add(line)
        above[cell.module, cell.name] = tuple(name for _, name in above if name in reached)
    found = Links(tuple(sorted(lines)), {name: uses for (_, name), uses in above.items()})
    _require_given_cells_apart(manuscript, library, barred, found)
    return found


def python(cell: Cell, place: str) -> str:
    """A given cell as Python: magics become calls."""
    from IPython.core.inputtransformer2 import TransformerManager

    try:
        source = TransformerManager().transform_cell(cell.source)
        compile(source, "<cell>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except SyntaxError as error:
        raise KitError(f"{place}: cell {cell.number} is not valid Python: line {error.lineno}: {error.msg}") from error
    return source


def _meanings(cell: Cell, name: str, library: Library) -> list[tuple[Place, Import]]:
    """Where a free name of an exercise comes from, through its module: the place that defines it, and the line that imports it."""
    module = cell.module
    if name in definitions(library.source(module)):
        return [((module, name), Import(module, name))]
    found = library.imports(module).get(name, [])
    if not found and name not in BUILTINS:
        raise KitError(f"{cell.target} uses {name!r}, which {module} neither defines nor imports")
    meanings = []
    for line in found:
        place = library.origin(line.module, line.name) if line.name else (line.module, "")
        alias = name if place[1] != name else ""
        meanings.append((place, Import(*place, alias) if line.name and library.path(place[0]) else line))
    return meanings


def _clash(one: Import, other: Import) -> bool:
    """Whether two lines bind one name to two things; `import a.b` and `import a.c` go together."""
    plain = not (one.name or one.alias or other.name or other.alias)
    return one != other and one.binds == other.binds and not plain


def _fault(place: Place, name: str, here: set[Place], owners: dict[Place, str]) -> str:
    if place not in here:
        return f"an exercise of the later set {owners[place]}"
    return f"which is {place[1]} here: call it by its plain name" if name != place[1] else "which stands below it in the notebook: move it above"


def _require_plain_calls(place: str, source: str, imported: dict[str, list[Import]], library: Library, barred: set[Place]) -> None:
    """`certify.predict(...)` would reach past the student's `predict` to the blank in the library."""
    for name, attribute in sorted(attributes(source)):
        for line in imported.get(name, []):
            module = f"{line.module}.{line.name}" if line.name else line.module
            if library.path(module) and library.origin(module, attribute) in barred:
                raise KitError(f"{place} uses {name}.{attribute}: an exercise must be called by its plain name, {attribute}")


def _require_given_cells_apart(manuscript: Manuscript, library: Library, barred: set[Place], links: Links) -> None:
    """Given cells must not replace what students write, and what exploration cells bind nobody else may need: they may be skipped."""
    sources = {cell.number: python(cell, manuscript.set) for cell in manuscript.of("given", "explore")}
    names = {cell.name for cell in manuscript.of("exercise", "copy")}
    imported = {name: lines for source in sources.values() for name, lines in imports(source).items()}
    for number, source in sources.items():
        _require_plain_calls(f"{manuscript.set}: cell {number}", source, imported, library, barred)
        for line in (line for lines in imports(source).values() for line in lines if line.name):
            if library.origin(line.module, line.name) in barred:
                raise KitError(f"{manuscript.set}: cell {number} imports {line.name}, which is blank in the students' edition")
        if taken := sorted(bound(source) & names):
            raise KitError(f"{manuscript.set}: cell {number} binds {taken[0]!r}, the name of an exercise or copied function")
    given = {line for cell in manuscript.of("given") for lines in imports(sources[cell.number]).values() for line in lines}
    for cell in manuscript.of("exercise", "copy"):
        sources[cell.number] = blanking.text(library.source(cell.module), cell.name, cell.module)
    for cell in manuscript.of("explore"):
        for number, source in sources.items():
            shared = needed(source) & _own(sources[cell.number], given | set(links.imports))
            if number != cell.number and shared:
                raise KitError(
                    f"{manuscript.set}: cell {number} uses {min(shared)!r}, which the exploration cell {cell.number} binds; "
                    "exploration cells may be skipped when graded, so bind it in a given cell or choose another name"
                )


def _own(source: str, imported: set[Import]) -> set[str]:
    """What an exploration cell binds, but for imports that cells which always run make too."""
    same = {name for name, lines in imports(source).items() if set(lines) <= imported}
    return bound(source) - (same - definitions(source))

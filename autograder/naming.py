"""Which names a piece of source takes from outside, which it binds, and where in the library a name comes from.

Cells and bodies are compiled, never run: the bytecode says what Python itself will look up, and in which order. Modules are read as source,
never imported, so that building needs none of the library's dependencies.
"""

import ast
import builtins
import dis
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import CodeType

from autograder.errors import KitError

LIBRARY = "backdoors"
BUILTINS = frozenset(dir(builtins))
LOOKUPS = ("LOAD_NAME", "LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS")


@dataclass(frozen=True, order=True)
class Import:
    """`import module as alias` without a name, else `from module import name as alias`; the alias is empty where the line has none."""

    module: str
    name: str = ""
    alias: str = ""

    @property
    def line(self) -> str:
        line = f"from {self.module} import {self.name}" if self.name else f"import {self.module}"
        return f"{line} as {self.alias}" if self.alias else line

    @property
    def binds(self) -> str:
        return self.alias or self.name or self.module.split(".")[0]


@dataclass(frozen=True)
class Library:
    """The source of the package `backdoors` in a course's lib/ folder."""

    folder: Path

    def path(self, module: str) -> Path | None:
        """The file of a module of the package, or None if it has none."""
        place = self.folder.joinpath(*module.split("."))
        found = [path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()]
        return found[0] if found and module.split(".")[0] == LIBRARY else None

    def source(self, module: str) -> str:
        """The text of a module, its line ends untouched."""
        path = self.path(module)
        if path is None:
            raise KitError(f"{self.folder} has no module {module}")
        return path.read_bytes().decode("utf-8")

    def imports(self, module: str) -> dict[str, list[Import]]:
        """What the module's top level imports, by the name that it binds there."""
        package = module if self.folder.joinpath(*module.split("."), "__init__.py").is_file() else module.rpartition(".")[0]
        return imports(self.source(module), package)

    def origin(self, module: str, name: str) -> tuple[str, str]:
        """The module of the package that defines a name, and the name there: re-exports are followed to their end."""
        seen = set()
        while (module, name) not in seen and self.path(module) and name not in definitions(self.source(module)):
            seen.add((module, name))
            for line in self.imports(module).get(name, []):
                if line.name and self.path(line.module):
                    module, name = line.module, line.name
        return module, name


@lru_cache(maxsize=1024)
def needed(source: str) -> frozenset[str]:
    """The names that must be bound before the source runs, builtins among them; in functions, those that the source binds nowhere."""
    code = _compile(source)
    return frozenset(_unbound(code) | (_deferred(code) - _stored(code)))


@lru_cache(maxsize=1024)
def bound(source: str) -> frozenset[str]:
    """The global names that running the source binds."""
    code = _compile(source)
    return frozenset(_stored(code) | {name for nested in _nested(code) for name in _names(nested, "STORE_GLOBAL")})


@lru_cache  # a set asks the same of one module many times
def imports(source: str, package: str = "") -> dict[str, list[Import]]:
    """What the top level of a source imports, branches included, by the name bound; `package` resolves relative imports."""
    found: dict[str, list[Import]] = {}
    for node in _top_level(ast.parse(source)):
        for line in _lines(node, package):
            found.setdefault(line.binds, []).append(line)
    return found


@lru_cache
def definitions(source: str) -> set[str]:
    """The names that the top level of a module binds other than by an import, branches included."""
    nodes = list(_top_level(ast.parse(source)))
    named = {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))}
    return named | {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def attributes(source: str) -> set[tuple[str, str]]:
    """Every `name.attribute` in the source."""
    nodes = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name))
    return {(node.value.id, node.attr) for node in nodes}


def _top_level(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node that is not inside a scope of its own."""
    scopes = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
    for node in ast.iter_child_nodes(tree):
        yield node
        if not isinstance(node, scopes):
            yield from _top_level(node)


def _lines(node: ast.AST, package: str) -> list[Import]:
    """The imports that one node makes; `from x import *` binds no name that could be known."""
    if isinstance(node, ast.Import):
        return [Import(alias.name, "", alias.asname or "") for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
    module = ".".join([*parents, *([node.module] if node.module else [])])
    return [Import(module, alias.name, alias.asname or "") for alias in node.names if alias.name != "*"]


def _compile(source: str) -> CodeType:
    return compile(source, "<cell>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


def _nested(code: CodeType) -> list[CodeType]:
    """The scopes inside a scope, at every depth."""
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return inner + [deeper for one in inner for deeper in _nested(one)]


def _names(code: CodeType, *operations: str) -> list[str]:
    return [instruction.argval for instruction in dis.get_instructions(code) if instruction.opname in operations]


def _stored(code: CodeType) -> set[str]:
    return set(_names(code, "STORE_NAME", "STORE_GLOBAL"))


def _unbound(code: CodeType) -> set[str]:
    """The names that a module or class body looks up before it binds them."""
    stored, missing = set(), set()
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("STORE_NAME", "STORE_GLOBAL"):
            stored.add(instruction.argval)
        elif instruction.opname in LOOKUPS and instruction.argval not in stored:
            missing.add(instruction.argval)
    return missing


def _deferred(code: CodeType) -> set[str]:
    """The global names that the functions and classes in a scope look up when they run."""
    return set().union(*(_unbound(nested) for nested in _nested(code)))

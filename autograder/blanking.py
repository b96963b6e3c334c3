"""Exercises as slices of the library's source, by the positions that `ast` gives: no byte outside a body ever changes.

What a slice cannot express (a body on the line of its `def`, a statement on the docstring's line, ...) is refused, with its line.
"""

import ast
import io
import tokenize
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from autograder.errors import KitError

STUB = ("# YOUR CODE HERE", "raise NotImplementedError()")
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
TELLING = 25  # characters from which a statement of a body counts as telling its solution


@dataclass(frozen=True)
class Slice:
    """A function of a module, as half-open ranges of its lines: [start, body) decorators, signature and docstring, [body, end) the body."""

    start: int
    body: int
    end: int
    indent: str


def split(source: str) -> list[str]:
    """The lines with their ends, cut where `ast` cuts them; str.splitlines would also cut at form feeds."""
    return list(io.StringIO(source, newline=""))


def locate(source: str, name: str, where: str) -> Slice:
    """The slice of the function `name`; `where` names the module in messages.

    Raises:
        KitError: if the module does not define it exactly once, at its top level, in a form that can be sliced.
    """
    node = definition(source, name, where)
    place = f"{where}.{name} (line {node.lineno})"
    if not isinstance(node, ast.FunctionDef):
        raise KitError(f"{place} cannot be an exercise: it must be a plain function, not {_kind(node)}")
    lines, first = split(source), node.body[0]
    header = _end_of_header(lines, node)
    if first.lineno <= header:
        raise KitError(f"{place}: the body stands on the line of the def; put it on its own lines")
    documented = ast.get_docstring(node, clean=False) is not None
    statements = node.body[1:] if documented else node.body
    if not statements or all(_is_placeholder(statement) for statement in statements):
        raise KitError(f"{place} cannot be an exercise: it has no body to write")
    if documented and statements[0].lineno <= first.end_lineno:
        raise KitError(f"{place}: a statement stands on the docstring's line {first.end_lineno}; put it on its own line")
    line = lines[first.lineno - 1]
    start = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1
    return Slice(start, first.end_lineno if documented else header, _end_of_body(lines, node), line[: len(line) - len(line.lstrip())])


def definition(source: str, name: str, where: str) -> Definition:
    """The one top-level definition of `name` in a module."""
    try:
        everything, tops = _definitions(source)
    except SyntaxError as error:
        raise KitError(f"{where} is not valid Python: line {error.lineno}: {error.msg}") from error
    found = [node for node in everything if node.name == name]
    top = [node for node in tops if node.name == name]
    if not found:
        raise KitError(f"{where} defines no function or class named {name!r}")
    if not top:
        raise KitError(f"{where}.{name} (line {found[0].lineno}) is nested; only what stands at the top level of its module can go into a notebook")
    if len(top) > 1:
        raise KitError(f"{where} defines {name!r} more than once (lines {', '.join(str(node.lineno) for node in top)})")
    return top[0]


def text(source: str, name: str, where: str) -> str:
    """A function or class as it stands in its module, decorators included."""
    node = definition(source, name, where)
    start = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1
    return "".join(split(source)[start : _end_of_body(split(source), node)]).rstrip("\r\n")


def marked(source: str, name: str, where: str) -> str:
    """The function with its body between nbgrader's solution marks."""
    lines, part = split(source), locate(source, name, where)
    head, body = lines[part.start : part.body], lines[part.body : part.end]
    marks = [f"{part.indent}{BEGIN}\n", *_ended(body), f"{part.indent}{END}"]
    return "".join([*head, *marks]).replace("\r\n", "\n")


def blanked(source: str, names: Iterable[str], where: str) -> str:
    """The module with the bodies of the functions `names` replaced by the stub; every other byte is as it was."""
    lines = split(source)
    newline = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    for part in sorted((locate(source, name, where) for name in names), key=lambda part: -part.start):
        lines[part.body : part.end] = [f"{part.indent}{line}{newline}" for line in STUB]
    return "".join(lines)


def body(source: str, name: str, where: str) -> list[str]:
    """The lines of the body, without their ends."""
    part = locate(source, name, where)
    return [line.rstrip("\r\n") for line in split(source)[part.body : part.end]]


def size(source: str, name: str, where: str) -> int:
    """Lines of code in the body: neither empty nor only a comment."""
    return sum(bool(line.strip()) and not line.lstrip().startswith("#") for line in body(source, name, where))


def telling(source: str, name: str, where: str) -> list[str]:
    """What would give the solution away, white space normalised: the body's statements of 25 or more characters, and its comments.

    Of a compound statement it is the header, since the statements in it count by themselves.
    """
    part = locate(source, name, where)
    lines, comments = split(source), []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and part.body < token.start[0] <= part.end:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column] + "\n"
            comments.append(normalised(token.string))
    bare, statements = "".join(lines), []
    for node in ast.walk(definition(source, name, where)):
        if isinstance(node, ast.stmt) and part.body < node.lineno <= part.end:
            inner = getattr(node, "body", None)
            compound = inner and inner[0].lineno > node.lineno
            segment = "".join(lines[node.lineno - 1 : inner[0].lineno - 1]) if compound else ast.get_source_segment(bare, node)
            statements.append(normalised(segment))
    return [statement for statement in statements if len(statement) >= TELLING] + [comment for comment in comments if comment != STUB[0]]


def normalised(text: str) -> str:
    """The text with every run of white space made one space."""
    return " ".join(text.split())


@lru_cache  # a set asks for many functions of one module
def _definitions(source: str) -> tuple[list[Definition], list[Definition]]:
    """The functions and classes of a module at every depth, and those at its top level."""
    tree = ast.parse(source)
    return [node for node in ast.walk(tree) if isinstance(node, Definition)], [node for node in tree.body if isinstance(node, Definition)]


def _end_of_header(lines: list[str], node: ast.FunctionDef) -> int:
    """The line, from 1, of the colon that ends the signature."""
    depth = 0
    for token in tokenize.generate_tokens(iter(lines[node.lineno - 1 :]).__next__):
        if token.type == tokenize.OP:
            depth += (token.string in "([{") - (token.string in ")]}")
            if token.string == ":" and depth == 0:
                return node.lineno - 1 + token.start[0]
    raise AssertionError(f"no colon ends the signature of {node.name}")


def _end_of_body(lines: list[str], node: ast.stmt) -> int:
    """The line, from 1, of the body's last statement, or of the last comment under it that is indented as the body is."""
    end = node.end_lineno
    for number, line in enumerate(lines[node.end_lineno :], node.end_lineno + 1):
        if line.strip() and not (line[0] in " \t" and line.lstrip().startswith("#")):
            break
        end = number if line.strip() else end
    return end


def _ended(lines: list[str]) -> list[str]:
    """The last line of a file may lack its end."""
    return lines if lines[-1].endswith("\n") else [*lines[:-1], lines[-1] + "\n"]


def _is_placeholder(statement: ast.stmt) -> bool:
    constant = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return constant or isinstance(statement, ast.Pass)


def _kind(node: ast.stmt) -> str:
    return "a class" if isinstance(node, ast.ClassDef) else "an async function"

"""Mutants of a function: every copy of it with one small mistake, made on its syntax tree.

The signature is given to students, and is not mutated. A `raise` and the call of a validator, `_require...(...)`, guard inputs that the docstring does
not admit, and are dropped but not mutated inside. A mutant whose bytecode is the function's or another mutant's is not made. Dropping a statement without
which a name is unbound would be caught by anything; it is not made either.
"""

import ast
import builtins
import difflib
import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import CodeType

from operators import SIGNS, Edit, Scope, of_expression, others


@dataclass(frozen=True)
class Mutant:
    """A function with one mistake.

    id: names the exercise and the difference, so that it outlives changes elsewhere.
    diff: the lines that differ from the reference as `ast.unparse` writes it, - the reference's, + the mutant's.
    source: the mutant, without docstring.
    """

    id: str
    exercise: str
    operator: str
    diff: str
    source: str


def mutants(source: str, name: str, known: Mapping[str, object] = builtins.__dict__) -> list[Mutant]:
    """The mutants of the function `name` of a module, in the order of its lines.

    Args:
        source: of the module.
        known: what the module's names mean: numbers among them are mutated as constants are, and a function is swapped only for one that is there.
    """
    (function,) = (node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and node.name == name)
    if ast.get_docstring(function) is not None:
        del function.body[0]
    reference = ast.unparse(function)
    seen, differences, found = {_bytecode(reference)}, Counter(), []
    for operator, text in _edited(function, known):
        try:
            code = _bytecode(text)
        except SyntaxError:  # what cannot be written there, as `1 = 1`
            continue
        if code in seen:
            continue
        seen.add(code)
        lines = list(difflib.unified_diff(reference.splitlines(), text.splitlines(), lineterm="", n=0))[2:]
        diff = "\n".join(f"{line[0]} {line[1:].strip()}" for line in lines if not line.startswith("@@"))
        plain = re.sub(r"[ ()\"']", "", diff)  # versions of Python differ in what they write in parentheses
        differences[plain] += 1
        key = f"{name}\n{plain}\n{differences[plain]}"  # the same line may stand in a function twice
        found.append(Mutant(hashlib.sha256(key.encode()).hexdigest()[:10], name, operator, diff, text))
    return found


def _edited(function: ast.FunctionDef, known: Mapping[str, object]) -> Iterator[Edit]:
    """The source of the function under each edit, one at a time."""
    loads = Counter(_loads(function))
    for holder, field, index, scope in _places(function, {}):
        value = getattr(holder, field)
        if index is None and isinstance(value, list):
            for operator, block in _of_block(value, scope, loads, isinstance(holder, ast.For | ast.While) and field == "body"):
                setattr(holder, field, block or [ast.Pass()])
                yield operator, ast.unparse(function)
            setattr(holder, field, value)
            continue
        node = value if index is None else value[index]
        for operator, text in of_expression(node, scope, known):
            new = ast.parse(text, mode="eval").body
            setattr(holder, field, new if index is None else [*value[:index], new, *value[index + 1 :]])
            yield operator, ast.unparse(function)
        setattr(holder, field, value)


# where


def _places(node: ast.AST, scope: Scope) -> Iterator[tuple[ast.AST, str, int | None, Scope]]:
    """Every list of statements (index None) and every expression in a node, with the names that are bound there."""
    if isinstance(node, ast.FunctionDef):
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
        scope = scope | {one.arg: ast.unparse(one.annotation) if one.annotation else "" for one in arguments if one}
    elif isinstance(node, ast.Lambda):
        scope = scope | {one.arg: "" for one in node.args.args}
    elif isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        scope = scope | {name: "" for part in node.generators for name in _stores(part.target)}
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list") or isinstance(value, ast.arguments):
            continue
        if field in ("body", "orelse", "finalbody") and isinstance(value, list) and value:
            yield node, field, None, scope
            inner = scope | {name: "" for name in _stores(node.target)} if isinstance(node, ast.For) else dict(scope)
            for statement in value:
                if not _guards(statement):
                    yield from _places(statement, dict(inner))
                kind = "Callable" if isinstance(statement, ast.FunctionDef) else ""
                inner |= {name: inner.get(name, kind) for name in _stores(statement)}
        elif isinstance(value, list):
            for index, child in enumerate(value):
                if isinstance(child, ast.expr):
                    yield node, field, index, scope
                if isinstance(child, ast.AST):
                    yield from _places(child, scope)
        elif isinstance(value, ast.AST):
            if isinstance(value, ast.expr):
                yield node, field, None, scope
            yield from _places(value, scope)


def _stores(node: ast.AST) -> list[str]:
    """The names that a node binds around itself."""
    if isinstance(node, ast.FunctionDef):
        return [node.name]
    bound = [node.id] if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) else []
    inner = () if isinstance(node, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) else ast.iter_child_nodes(node)
    return bound + [name for child in inner for name in _stores(child)]


def _loads(node: ast.AST) -> list[str]:
    return [one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)]


def _guards(statement: ast.stmt) -> bool:
    """Whether a statement is about inputs that are not admitted: it raises, or calls a validator."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    named = isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
    return isinstance(statement, ast.Raise) or (named and call.func.id.startswith("_require"))


# statements


def _of_block(block: list[ast.stmt], scope: Scope, loads: Counter, in_loop: bool) -> Iterator[tuple[str, list[ast.stmt]]]:
    bound = set(scope)
    for i, statement in enumerate(block):
        before, after = block[:i], block[i + 1 :]
        last = isinstance(statement, ast.Return) and not after
        elsewhere = set(loads - Counter(_loads(statement)))
        if set(_stores(statement)) & elsewhere <= bound and not last:
            yield "statement dropped", before + after
        match statement:
            case ast.If(test, body, orelse):
                yield "branch always taken", [*before, *body, *after]
                yield "branch never taken", [*before, *orelse, *after]
                if orelse:
                    yield "branches swapped", [*before, ast.If(test, orelse, body), *after]
                elif not isinstance(test, ast.Compare):
                    yield "condition negated", [*before, ast.If(ast.UnaryOp(ast.Not(), test), body, []), *after]
            case ast.AugAssign(target, operator, value):
                for sign in others(SIGNS[type(operator)]):
                    yield "operator", [*before, *ast.parse(f"{ast.unparse(target)} {sign}= {ast.unparse(value)}").body, *after]
                yield "term dropped", [*before, *ast.parse(f"{ast.unparse(target)} = {ast.unparse(value)}").body, *after]
        bound |= set(_stores(statement))
    if in_loop and not isinstance(block[-1], ast.Return | ast.Break):
        yield "first round only", [*block, ast.Break()]
    if isinstance(block[-1], ast.Return) and block[-1].value is not None:
        locals_ = set(scope) | {name for statement in block for name in _stores(statement)}
        for i in range(len(block) - 1):
            if set(_loads(block[-1].value)) & locals_ <= set(scope) | {name for statement in block[:i] for name in _stores(statement)}:
                yield "early return", [*block[:i], block[-1]]


# bytecode


def _bytecode(source: str) -> tuple:
    return _key(compile(source, "<mutant>", "exec", dont_inherit=True))


def _key(code: CodeType) -> tuple:
    """What a code object does, without the lines it stands on."""
    constants = tuple(_key(one) if isinstance(one, CodeType) else (type(one).__name__, repr(one)) for one in code.co_consts)
    return code.co_code, constants, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars, code.co_exceptiontable

"""Circuits as text: Python expressions, and the Bristol and Bristol Fashion formats that multi-party computation uses.

XOR, XNOR, multiple AND and constants of those formats become gates of `circuits.KINDS`; an XOR takes three gates and two levels.
Bristol Fashion is described at https://nigelsmart.github.io/MPC-Circuits.
"""

import ast
import operator
from collections.abc import Callable, Sequence

from backdoors.constructions.circuit_builder import Builder, Wire
from backdoors.constructions.circuits import Circuit

OPERATORS: dict[type, Callable] = {ast.BitAnd: operator.and_, ast.BitOr: operator.or_, ast.BitXor: operator.xor}
MAX_WIRES = 2**24  # more than this in a header is taken for a damaged file

# of one output; two inputs, but for those of ONE_INPUT
BRISTOL: dict[str, Callable] = {
    "AND": lambda a, b: a & b,
    "OR": lambda a, b: a | b,
    "XOR": lambda a, b: a ^ b,
    "NAND": lambda a, b: 1 ^ (a & b),
    "NOR": lambda a, b: 1 ^ (a | b),
    "XNOR": lambda a, b: 1 ^ (a ^ b),
    "INV": lambda a: 1 ^ a,
    "NOT": lambda a: 1 ^ a,
    "EQW": lambda a: a,
}
ONE_INPUT = ("INV", "NOT", "EQW", "EQ")


def circuit_from_expression(expression: str, names: Sequence[str]) -> Circuit:
    """The circuit of a Python expression such as "a & ~b | c ^ d"; several, with commas between them, are several outputs.

    Args:
        expression: made of names, 0, 1, ~, &, ^, | (which bind in this order, as in Python) and parentheses.
        names: the inputs, in their order; an input need not occur.

    Raises:
        ValueError: if the expression is not one, holds anything else, or names an unknown input; or if names are not different identifiers.
    """
    _require_names(names)
    try:
        body = ast.parse(expression.strip(), mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"expression must be a Python expression, got {expression!r}: {error.msg}") from error
    except (RecursionError, MemoryError) as error:
        raise ValueError(f"expression must not be nested so deeply, got one of {len(expression)} characters") from error
    builder = Builder(len(names))
    wires = dict(zip(names, builder.inputs, strict=True))
    parts = body.elts if isinstance(body, ast.Tuple) else [body]
    try:
        return builder.build([_value(part, wires) for part in parts])
    except RecursionError as error:
        raise ValueError(f"expression must not be nested so deeply, got one of {len(expression)} characters") from error


def circuit_from_bristol(text: str) -> Circuit:
    """The circuit of a file in Bristol or Bristol Fashion format; inputs of all parties in their order, likewise outputs.

    A Bristol file has a header of two lines (gates and wires; wires of each party's input and of the output), a Bristol Fashion file one of three (gates and
    wires; number of inputs and their widths; likewise of the outputs). Then come the gates, one a line: number of inputs, number of outputs, wires, kind.

    Raises:
        ValueError: if a count does not fit, a kind is unknown, or a wire is read before it has a value (so that cycles are refused too), or has two; the
            message names the line.
    """
    lines = [(number, line.split()) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if len(lines) < 2:
        raise ValueError(f"text must start with a header of two or three lines, got {len(lines)} lines that are not empty")
    fashion = len(lines) > 2 and all(word.isdecimal() for word in lines[2][1])
    header = [_numbers(number, words) for number, words in lines[: 3 if fashion else 2]]
    (gates, total), (inputs, outputs) = _header(header, fashion)
    body = lines[len(header) :]
    if len(body) != gates:
        raise ValueError(f"text must have the {gates} gates that line {lines[0][0]} promises, got {len(body)}")
    builder = Builder(inputs)
    wires: dict[int, Wire | int] = dict(enumerate(builder.inputs))
    for number, words in body:
        _read_gate(number, words, wires, total)
    missing = next((wire for wire in range(total - outputs, total) if wire not in wires), None)
    if missing is not None:
        raise ValueError(f"text must give every output a value, got none for wire {missing}")
    return builder.build([wires[wire] for wire in range(total - outputs, total)])


def bristol_from_circuit(circuit: Circuit) -> str:
    """The circuit in Bristol Fashion, with one input and one output value, made of AND, INV, EQ and EQW."""
    lines: list[str] = []
    names = list(range(circuit.inputs))  # the file's wire of each wire of the circuit

    def emit(kind: str, *sources: int) -> int:
        lines.append(f"{len(sources)} 1 {' '.join(map(str, sources))} {circuit.inputs + len(lines)} {kind}")
        return circuit.inputs + len(lines) - 1

    for g in circuit.gates:
        conjunctive = g.kind in ("AND", "NAND")
        sources = [names[wire] for wire in g.inputs]
        if not conjunctive:  # an OR is the negation of an AND of negations
            sources = [emit("INV", source) for source in sources]
        value = sources[0] if sources else emit("EQ", 1)
        for source in sources[1:]:
            value = emit("AND", value, source)
        names.append(emit("INV", value) if g.kind in ("NAND", "OR", "REPEAT") else value)
    for wire in circuit.outputs:  # which must be the last wires
        emit("EQW", names[wire])
    return "\n".join([f"{len(lines)} {circuit.inputs + len(lines)}", f"1 {circuit.inputs}", f"1 {len(circuit.outputs)}", "", *lines, ""])


def _value(node: ast.expr, wires: dict[str, Wire]) -> Wire | int:
    rights = []
    while isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:  # a chain leans to the left: a loop, so that a long one needs no deep stack
        rights.append((OPERATORS[type(node.op)], node.right))
        node = node.left
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Invert):
        value = 1 ^ _value(node.operand, wires)
    elif isinstance(node, ast.Constant) and type(node.value) is int and node.value in (0, 1):
        value = node.value
    elif isinstance(node, ast.Name):
        if node.id not in wires:
            raise ValueError(f"expression must name inputs among {', '.join(wires)}, got {node.id!r}")
        value = wires[node.id]
    else:
        raise ValueError(f"expression must be made of names, 0, 1, ~, &, ^, | and parentheses, got {ast.unparse(node)!r}")
    for operation, right in reversed(rights):
        value = operation(value, _value(right, wires))
    return value


def _require_names(names: Sequence[str]) -> None:
    for name in names:
        if not isinstance(name, str) or not name.isidentifier():
            raise ValueError(f"names must be identifiers, got {name!r}")
    if len(set(names)) < len(names):
        raise ValueError(f"names must be different, got {', '.join(names)}")


def _numbers(line: int, words: list[str]) -> list[int]:
    if not all(word.isdecimal() for word in words):
        raise ValueError(f"line {line} must hold whole numbers, got {' '.join(words)!r}")
    return list(map(int, words))


def _header(header: list[list[int]], fashion: bool) -> tuple[tuple[int, int], tuple[int, int]]:
    """(gates, wires), (input wires, output wires)."""
    if len(header[0]) != 2:
        raise ValueError(f"the first line must hold the numbers of gates and wires, got {header[0]}")
    gates, total = header[0]
    if fashion:
        for name, (count, *widths) in (("inputs", header[1]), ("outputs", header[2])):
            if len(widths) != count:
                raise ValueError(f"the header must give one width for each of the {count} {name}, got {widths}")
        inputs, outputs = sum(header[1][1:]), sum(header[2][1:])
    else:
        if len(header[1]) != 3:
            raise ValueError(f"the second line must hold the widths of two inputs and of the output, got {header[1]}")
        inputs, outputs = sum(header[1][:2]), header[1][2]
    if not (inputs <= total <= MAX_WIRES and 1 <= outputs <= total):
        raise ValueError(f"the header must promise at most {MAX_WIRES} wires, inputs and at least one output among them, got {total}, {inputs} and {outputs}")
    return (gates, total), (inputs, outputs)


def _read_gate(line: int, words: list[str], wires: dict[int, Wire | int], total: int) -> None:
    """Gives the outputs of the gate on this line their values."""
    kind, (fan_in, fan_out, *rest) = words[-1], _numbers(line, words[:-1]) if len(words) > 3 else (-1, -1)
    wanted = {"MAND": (2 * fan_out, fan_out)}.get(kind, (1 if kind in ONE_INPUT else 2, 1))
    if kind != "MAND" and kind != "EQ" and kind not in BRISTOL:
        raise ValueError(f"line {line} must end with one of {', '.join(BRISTOL)}, EQ, MAND, got {kind!r}")
    if (fan_in, fan_out) != wanted or len(rest) != fan_in + fan_out:
        raise ValueError(f"line {line} must give {kind} {max(wanted[0], 1)} inputs and {max(wanted[1], 1)} outputs, got {' '.join(words)!r}")
    sources, given = rest[:fan_in], rest[fan_in:]
    if kind == "EQ":
        if sources[0] not in (0, 1):
            raise ValueError(f"line {line} must set a wire to 0 or 1, got {sources[0]}")
        values: list[Wire | int] = [sources[0]]
    else:
        for source in sources:
            if source not in wires:
                raise ValueError(f"line {line} must read wires that have a value, got wire {source}, which no line above gives")
        read = [wires[source] for source in sources]
        values = [a & b for a, b in zip(read[:fan_out], read[fan_out:], strict=True)] if kind == "MAND" else [BRISTOL[kind](*read)]
    for wire, value in zip(given, values, strict=True):
        if wire in wires or wire >= total:
            raise ValueError(f"line {line} must give a wire below {total} that has no value yet, got wire {wire}")
        wires[wire] = value

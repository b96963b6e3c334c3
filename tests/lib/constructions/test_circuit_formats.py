"""Expressions against Python's evaluation of them; Bristol files against what the gates mean, and against what is written back."""

from itertools import product

import pytest
import torch
from backdoors.constructions.circuit_formats import bristol_from_circuit, circuit_from_bristol, circuit_from_expression
from backdoors.constructions.circuits import KINDS, Circuit, Gate, compile_circuit, parity_circuit
from hypothesis import given, settings
from hypothesis import strategies as st

NAMES = ("a", "b", "c", "d")
LEAVES = st.sampled_from([*NAMES, "0", "1"])
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(lambda e: f"~{e}"), inner.map(lambda e: f"({e})"), st.tuples(inner, st.sampled_from("&|^"), inner).map(lambda t: f"{t[0]} {t[1]} {t[2]}")
    ),
    max_leaves=14,
)


def cube(n):
    return torch.tensor(list(product([0, 1], repeat=n))).reshape(2**n, n)


# expressions


@given(st.lists(EXPRESSIONS, min_size=1, max_size=3))
@settings(deadline=None, max_examples=200, derandomize=True)
def test_an_expression_means_what_python_means_by_it(expressions):
    circuit = circuit_from_expression(", ".join(expressions), NAMES)
    expected = [[eval(e, dict(zip(NAMES, row, strict=True))) & 1 for e in expressions] for row in cube(4).tolist()]
    assert circuit.evaluate(cube(4)).tolist() == expected


def test_the_example_and_its_network():
    circuit = circuit_from_expression("a & ~b | c ^ d", NAMES)
    network = compile_circuit(circuit)
    assert network(cube(4).float()).flatten().tolist() == [float((a and not b) or c != d) for a, b, c, d in cube(4).tolist()]


def test_inputs_stand_in_the_order_of_the_names_used_or_not():
    assert circuit_from_expression("b", ("a", "b", "c")) == Circuit(3, (), (1,))


def test_a_long_chain_is_read():
    names = [f"x{i}" for i in range(500)]
    circuit = circuit_from_expression("^".join(names), names)
    x = torch.randint(2, (20, 500), generator=torch.Generator().manual_seed(0))
    assert torch.equal(circuit.evaluate(x).flatten(), x.sum(dim=1) % 2)


@pytest.mark.parametrize(
    ("expression", "names", "message"),
    [
        ("a &", ["a"], "expression must be a Python expression, got 'a &'"),
        ("", ["a"], "expression must be a Python expression, got ''"),
        ("a & z", ["a", "b"], "expression must name inputs among a, b, got 'z'"),
        ("a + b", ["a", "b"], r"must be made of names, 0, 1, ~, &, \^, | and parentheses, got 'a \+ b'"),
        ("a and b", ["a", "b"], "must be made of names, .* got 'a and b'"),
        ("not a", ["a"], "must be made of names, .* got 'not a'"),
        ("a & 2", ["a"], "must be made of names, .* got '2'"),
        ("a & True", ["a"], "must be made of names, .* got 'True'"),
        ("f(a)", ["a"], r"must be made of names, .* got 'f\(a\)'"),
        ("__import__('os')", ["a"], "must be made of names"),
        ("a", ["a", "a"], "names must be different, got a, a"),
        ("a", ["a b"], "names must be identifiers, got 'a b'"),
        ("()", ["a"], "outputs must be at least one wire"),
        ("(" * 500 + "a" + ")" * 500, ["a"], "expression must"),
        ("~" * 20_000 + "a", ["a"], "expression must not be nested so deeply, got one of 20001 characters"),
    ],
)
def test_bad_expressions_are_refused(expression, names, message):
    with pytest.raises(ValueError, match=message):
        circuit_from_expression(expression, names)


# Bristol

FULL_ADDER_OLD = """5 8
2 1 2

2 1 0 1 3 XOR
2 1 0 1 4 AND
2 1 3 2 6 XOR
2 1 3 2 5 AND
2 1 4 5 7 XOR
"""
FULL_ADDER_FASHION = """5 8
3 1 1 1
1 2

2 1 0 1 3 XOR
2 1 0 1 4 AND
2 1 3 2 6 XOR
2 1 3 2 5 AND
2 1 4 5 7 XOR


"""


@pytest.mark.parametrize("text", [FULL_ADDER_OLD, FULL_ADDER_FASHION], ids=["Bristol", "Bristol Fashion"])
def test_a_full_adder_is_read_in_both_formats(text):
    circuit = circuit_from_bristol(text)
    assert circuit.evaluate(cube(3)).tolist() == [[sum(row) % 2, sum(row) // 2] for row in cube(3).tolist()]


@pytest.mark.parametrize(
    ("kind", "meaning"),
    [
        ("AND", lambda a, b: a and b),
        ("OR", lambda a, b: a or b),
        ("XOR", lambda a, b: a != b),
        ("NAND", lambda a, b: not (a and b)),
        ("NOR", lambda a, b: not (a or b)),
        ("XNOR", lambda a, b: a == b),
    ],
)
def test_kinds_of_two_inputs(kind, meaning):
    circuit = circuit_from_bristol(f"1 3\n2 1 1\n1 1\n\n2 1 0 1 2 {kind}\n")
    assert circuit.evaluate(cube(2)).flatten().tolist() == [int(meaning(a, b)) for a, b in cube(2).tolist()]
    assert {g.kind for g in circuit.gates} <= set(KINDS)


@pytest.mark.parametrize(
    ("line", "expected"), [("1 1 0 1 INV", [1, 0]), ("1 1 0 1 NOT", [1, 0]), ("1 1 0 1 EQW", [0, 1]), ("1 1 0 1 EQ", [0, 0]), ("1 1 1 1 EQ", [1, 1])]
)
def test_kinds_of_one_input(line, expected):
    assert circuit_from_bristol(f"1 2\n1 1\n1 1\n{line}").evaluate(cube(1)).flatten().tolist() == expected


def test_a_multiple_and_pairs_its_two_halves():
    circuit = circuit_from_bristol("1 6\n2 2 2\n1 2\n\n4 2 0 1 2 3 4 5 MAND\n")
    assert circuit.evaluate(cube(4)).tolist() == [[a & c, b & d] for a, b, c, d in cube(4).tolist()]


def test_gates_need_not_give_wires_in_the_order_of_their_numbers():
    circuit = circuit_from_bristol("2 4\n1 2\n1 1\n2 1 0 1 2 AND\n1 1 2 3 INV\n")
    turned = circuit_from_bristol("2 4\n1 2\n1 2\n1 1 0 3 INV\n1 1 3 2 INV\n")
    assert circuit.evaluate(cube(2)).flatten().tolist() == [1, 1, 1, 0]
    assert turned.evaluate(cube(2)).tolist() == [[0, 1], [0, 1], [1, 0], [1, 0]]


GATES = st.sampled_from(KINDS).flatmap(lambda kind: st.tuples(st.just(kind), st.lists(st.integers(0, 99), min_size=0, max_size=4)))


@given(st.integers(1, 4), st.lists(GATES, max_size=8), st.lists(st.integers(0, 99), min_size=1, max_size=4))
@settings(deadline=None, max_examples=80, derandomize=True)
def test_what_is_written_is_read_back_as_the_same_function(inputs, drawn, outputs):
    gates = []
    for kind, wires in drawn:
        here = inputs + len(gates)
        wires = (wires or [0])[:1] if kind in ("NOT", "REPEAT") else wires
        gates.append(Gate(kind, tuple(wire % here for wire in wires)))
    circuit = Circuit(inputs, tuple(gates), tuple(wire % (inputs + len(gates)) for wire in outputs))
    text = bristol_from_circuit(circuit)
    assert torch.equal(circuit_from_bristol(text).evaluate(cube(inputs)), circuit.evaluate(cube(inputs)))
    assert {line.split()[-1] for line in text.splitlines()[4:]} <= {"AND", "INV", "EQ", "EQW"}


def test_a_written_file_is_bristol_fashion_to_the_letter():
    assert bristol_from_circuit(Circuit(2, (Gate("OR", (0, 1)),), (2,))) == (
        "5 7\n1 2\n1 1\n\n1 1 0 2 INV\n1 1 1 3 INV\n2 1 2 3 4 AND\n1 1 4 5 INV\n1 1 5 6 EQW\n"
    )
    big = parity_circuit(40)
    x = torch.randint(2, (50, 40), generator=torch.Generator().manual_seed(0))
    assert torch.equal(circuit_from_bristol(bristol_from_circuit(big)).evaluate(x), big.evaluate(x))


HEAD = "1 3\n1 2\n1 1\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "text must start with a header of two or three lines, got 0 lines"),
        ("1 x\n1 1\n1 1", "line 1 must hold whole numbers, got '1 x'"),
        ("1\n1 1\n1 1", "the first line must hold the numbers of gates and wires"),
        ("0 1\n1 1 1\n1 1", "one width for each of the 1 inputs, got"),
        ("0 1\n1 1\n2 1", "one width for each of the 2 outputs, got"),
        ("1 2\n1 1\n1 1 0 1 INV", "the second line must hold the widths of two inputs and of the output"),
        ("0 1\n1 2\n1 1", "inputs and at least one output among them, got 1, 2 and 1"),
        ("0 1\n1 1\n1 0", "at least one output among them, got 1, 1 and 0"),
        ("0 99999999999\n1 99999999999\n1 1", "the header must promise at most 16777216 wires"),
        (HEAD, "text must have the 1 gates that line 1 promises, got 0"),
        (HEAD + "2 1 0 1 2 AND\n1 1 0 2 INV", "text must have the 1 gates that line 1 promises, got 2"),
        (HEAD + "2 1 0 1 2 MUX", "line 4 must end with one of AND, .*, EQ, MAND, got 'MUX'"),
        (HEAD + "AND", "line 4 must give AND 2 inputs and 1 outputs, got 'AND'"),
        (HEAD + "1 1 0 2 AND", "line 4 must give AND 2 inputs and 1 outputs"),
        (HEAD + "2 1 0 2 AND", "line 4 must give AND 2 inputs and 1 outputs"),
        (HEAD + "2 1 0 -1 2 AND", "line 4 must hold whole numbers"),
        (HEAD + "0 0 7 MAND", "line 4 must give MAND"),
        (HEAD + "1 1 5 2 EQ", "line 4 must set a wire to 0 or 1, got 5"),
        (HEAD + "2 1 0 2 2 AND", "line 4 must read wires that have a value, got wire 2, which no line above gives"),
        (HEAD + "2 1 0 1 1 AND", "line 4 must give a wire below 3 that has no value yet, got wire 1"),
        (HEAD + "2 1 0 1 3 AND", "line 4 must give a wire below 3 that has no value yet, got wire 3"),
        ("2 4\n1 1\n1 1\n1 1 2 1 INV\n1 1 1 2 INV", "line 4 must read wires that have a value, got wire 2"),
        ("1 4\n1 2\n1 1\n2 1 0 1 2 AND", "text must give every output a value, got none for wire 3"),
    ],
)
def test_bad_files_are_refused_with_their_line(text, message):
    with pytest.raises(ValueError, match=message):
        circuit_from_bristol(text)

"""Circuits written in Python, against Python's own operators on bits."""

from functools import reduce
from itertools import product

import pytest
import torch
from backdoors.constructions.circuit_builder import Builder, all_of, any_of, parity_of, pruned
from backdoors.constructions.circuits import Circuit, Gate
from hypothesis import given, settings
from hypothesis import strategies as st

LEAVES = st.one_of(st.integers(0, 3).map(lambda i: f"v[{i}]"), st.sampled_from(["0", "1"]))
FORMULAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(inner.map(lambda a: f"(1 ^ {a})"), st.tuples(inner, st.sampled_from("&|^"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})")),
    max_leaves=12,
)


def rows(n):
    return list(product([0, 1], repeat=n))


def evaluate(circuit):
    return circuit.evaluate(torch.tensor(rows(circuit.inputs)).reshape(2**circuit.inputs, circuit.inputs)).tolist()


@given(st.lists(FORMULAS, min_size=1, max_size=3))
@settings(deadline=None, max_examples=150, derandomize=True)
def test_an_expression_of_wires_is_the_expression_of_their_values(formulas):
    builder = Builder(4)
    circuit = builder.build([eval(formula, {"v": builder.inputs}) for formula in formulas])
    assert evaluate(circuit) == [[eval(formula, {"v": row}) for formula in formulas] for row in rows(4)]


def test_invert_negates():
    builder = Builder(2)
    a, b = builder.inputs
    assert evaluate(builder.build([~a, ~(a & b), ~~b])) == [[1 - p, 1 - (p & q), q] for p, q in rows(2)]


@pytest.mark.parametrize("bits", [[], [0], [1], [0, 1], [1, 1]])
@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_all_any_and_parity_of_wires_and_bits(n, bits):
    builder = Builder(n)
    mixed = [*bits[:1], *builder.inputs, *bits[1:]]
    circuit = builder.build([all_of(mixed), any_of(mixed), parity_of(mixed)])
    assert evaluate(circuit) == [[int(all([*row, *bits])), int(any([*row, *bits])), reduce(lambda a, b: a ^ b, [*row, *bits], 0)] for row in rows(n)]


def test_all_of_many_wires_is_one_gate():
    builder = Builder(50)
    assert builder.build([all_of(builder.inputs)]).gates == (Gate("AND", tuple(range(50))),)


def test_a_gate_is_made_once_and_dead_ones_are_left_out():
    builder = Builder(2)
    a, b = builder.inputs
    a ^ b  # not an output
    assert builder.build([a & b, b & a]) == Circuit(2, (Gate("AND", (0, 1)),), (2, 2))


def test_pruning_keeps_the_function_and_drops_every_dead_gate():
    circuit = Circuit(2, (Gate("NOT", (0,)), Gate("AND", (0, 1)), Gate("OR", (2, 3)), Gate("NOT", (3,))), (5, 1))
    assert pruned(circuit) == Circuit(2, (Gate("AND", (0, 1)), Gate("NOT", (2,))), (3, 1))
    assert evaluate(pruned(circuit)) == evaluate(circuit)


def test_wires_have_no_truth_value_while_a_circuit_is_built():
    a, b = Builder(2).inputs
    with pytest.raises(TypeError, match="combine wires by &, |, ^ and ~"):
        bool(a and b)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Builder(-1), "inputs must be a whole number of at least 0, got -1"),
        (lambda: Builder(1).inputs[0] & 2, "a wire combines with wires and the bits 0 and 1, got 2"),
        (lambda: "x" ^ Builder(1).inputs[0], "a wire combines with wires and the bits 0 and 1, got 'x'"),
        (lambda: Builder(1).inputs[0] | Builder(1).inputs[0], "wires must be wires of this builder, got Wire"),
        (lambda: Builder(1).build([Builder(1).inputs[0]]), "outputs must be wires of this builder, got Wire"),
        (lambda: Builder(1).build([]), "outputs must be at least one wire, got none"),
        (lambda: Builder(1).build([3]), "a wire combines with wires and the bits 0 and 1, got 3"),
        (lambda: Builder(1).gate("MAJ", Builder(1).inputs[0]), "wires must be wires of this builder"),
        (lambda: all_of([2]), "the bits 0 and 1, got 2"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()

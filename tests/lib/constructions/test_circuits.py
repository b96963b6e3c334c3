"""Gates and circuits as perceptrons, against truth tables and an evaluator that goes gate by gate."""

from itertools import product
from math import ceil, log2

import pytest
import torch
from backdoors.constructions.circuits import KINDS, Circuit, Gate, clause, compile_circuit, gate, network_bytes, parity_circuit
from backdoors.constructions.perceptrons import Perceptrons, SparsePerceptrons, depth_of, size_of
from hypothesis import given, settings
from hypothesis import strategies as st

MEANING = {
    "AND": all,
    "OR": any,
    "NAND": lambda bits: not all(bits),
    "NOR": lambda bits: not any(bits),
    "NOT": lambda bits: not bits[0],
    "REPEAT": lambda bits: bits[0],
}
ARITY = [(kind, k) for kind in KINDS for k in ((1,) if kind in ("NOT", "REPEAT") else (1, 2, 3, 5, 12))]


def cube(n):
    """All 2^n inputs, as rows of floats."""
    return torch.tensor(list(product([0.0, 1.0], repeat=n)), dtype=torch.float32).reshape(2**n, n)


def by_hand(circuit, row):
    """The values of all wires, one gate after another."""
    wires = [bool(bit) for bit in row]
    for g in circuit.gates:
        wires.append(bool(MEANING[g.kind]([wires[i] for i in g.inputs])))
    return wires


def outputs_by_hand(circuit, rows):
    wires = torch.tensor([by_hand(circuit, row) for row in rows.tolist()]).float()
    return wires[:, list(circuit.outputs)]


def layers_of(network):
    return [module for module in network.modules() if isinstance(module, Perceptrons)]


@st.composite
def circuits(draw, most_inputs=6, most_gates=14):
    """Circuits with dead gates, constants, wires read twice and across many levels, and outputs at any level, some of them inputs."""
    inputs = draw(st.integers(1, most_inputs))
    gates = []
    for wire in range(inputs, inputs + draw(st.integers(0, most_gates))):
        kind = draw(st.sampled_from(KINDS))
        fan_in = 1 if kind in ("NOT", "REPEAT") else draw(st.integers(0, 4))
        gates.append(Gate(kind, tuple(draw(st.lists(st.integers(0, wire - 1), min_size=fan_in, max_size=fan_in)))))
    outputs = draw(st.lists(st.integers(0, inputs + len(gates) - 1), min_size=1, max_size=4))
    return Circuit(inputs, tuple(gates), tuple(outputs))


# gates and clauses


@pytest.mark.statement("gkvz-lemma-b.1")
@pytest.mark.parametrize(("kind", "fan_in"), ARITY)
def test_a_gate_is_a_perceptron_with_a_margin_of_one_half(kind, fan_in):
    weight, bias = gate(kind, fan_in)
    x = cube(fan_in)
    sums = x @ weight + bias
    assert weight.shape == (fan_in,)
    assert (sums >= 0).tolist() == [bool(MEANING[kind](row)) for row in x.tolist()]
    assert sums.abs().min() >= 0.5


def test_gates_of_no_wires_are_constants():
    assert {kind: gate(kind, 0)[1] >= 0 for kind in ("AND", "OR", "NAND", "NOR")} == {"AND": True, "OR": False, "NAND": False, "NOR": True}


@pytest.mark.statement("gkvz-lemma-b.1")
@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
def test_a_clause_is_a_perceptron_for_all_signs_and_inputs(k):
    x = cube(k)
    for signs in product([-1, 0, 1], repeat=k):
        weight, bias = clause(torch.tensor(signs))
        sums = x @ weight + bias
        expected = [any((s == 1 and bit) or (s == -1 and not bit) for s, bit in zip(signs, row, strict=True)) for row in x.tolist()]
        assert (sums >= 0).tolist() == expected
        assert sums.abs().min() >= 0.5


def test_a_clause_takes_lists_and_shares_nothing_with_its_argument():
    signs = torch.tensor([1.0, -1.0])
    weight, bias = clause(signs)
    weight += 5
    assert signs.tolist() == [1, -1]
    assert (clause([1, -1])[0].tolist(), bias) == ([1, -1], 0.5)


# circuits


@given(circuits())
@settings(deadline=None, max_examples=80, derandomize=True)
def test_evaluate_agrees_with_going_gate_by_gate(circuit):
    x = cube(circuit.inputs)
    assert torch.equal(circuit.evaluate(x), outputs_by_hand(circuit, x))
    assert torch.equal(circuit.transcript(x), torch.tensor([[float(bit) for bit in by_hand(circuit, row)] for row in x.tolist()]))


@given(circuits())
@settings(deadline=None, max_examples=80, derandomize=True)
def test_depth_is_the_longest_way_to_an_output(circuit):
    def longest(wire):
        return 0 if wire < circuit.inputs else 1 + max([longest(i) for i in circuit.gates[wire - circuit.inputs].inputs], default=0)

    assert circuit.depth == max(longest(wire) for wire in circuit.outputs)
    assert circuit.size == len(circuit.gates)


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float64])
def test_evaluate_answers_in_the_type_of_the_batch(dtype):
    circuit = Circuit(2, (Gate("AND", (0, 1)),), (2, 0))
    answer = circuit.evaluate(torch.tensor([[1, 1], [1, 0]], dtype=dtype))
    assert answer.dtype == dtype
    assert answer.tolist() == [[1, 1], [0, 1]]
    assert circuit.evaluate(torch.zeros(0, 2, dtype=dtype)).shape == (0, 2)


def test_a_wide_gate_over_many_rows():
    x = (torch.rand(1003, 300, generator=torch.Generator().manual_seed(0)) < 0.997).int()
    circuit = Circuit(300, (Gate("AND", tuple(range(300))), Gate("NOR", tuple(range(300)))), (300, 301))
    assert torch.equal(circuit.evaluate(x), torch.stack([(x.sum(dim=1) == 300), (x.sum(dim=1) == 0)], dim=1).int())


def test_lists_become_tuples_and_equal_circuits_are_equal():
    circuit = Circuit(2, [Gate("AND", [0, 1])], [2])
    assert circuit == Circuit(2, (Gate("AND", (0, 1)),), (2,))
    assert hash(circuit) == hash(Circuit(2, (Gate("AND", (0, 1)),), (2,)))
    assert repr(circuit) == "Circuit(2 inputs, 1 outputs, size 1, depth 1)"


# parity


@pytest.mark.statement("gkvz-lemma-3.2")
@pytest.mark.parametrize("n", range(1, 13))
def test_parity_is_right_shallow_and_small(n):
    circuit, x = parity_circuit(n), cube(n)
    assert circuit.evaluate(x).flatten().tolist() == (x.sum(dim=1) % 2).tolist()
    assert circuit.depth <= 2 * ceil(log2(n))
    assert circuit.size <= 4 * (n - 1)


@pytest.mark.parametrize("n", [13, 100, 1023, 1025])
def test_large_parities_on_random_inputs(n):
    circuit = parity_circuit(n)
    x = torch.randint(2, (200, n), generator=torch.Generator().manual_seed(n))
    assert torch.equal(circuit.evaluate(x).flatten(), x.sum(dim=1) % 2)
    assert circuit.depth <= 2 * ceil(log2(n))
    assert circuit.size <= 4 * (n - 1)


# compiling


@pytest.mark.statement("gkvz-lemma-3.2")
@given(circuits())
@settings(deadline=None, max_examples=150, derandomize=True)
def test_the_network_equals_the_circuit_on_every_input_in_the_same_depth(circuit):
    network, x = compile_circuit(circuit), cube(circuit.inputs)
    assert torch.equal(network(x), outputs_by_hand(circuit, x))
    assert len(layers_of(network)) == depth_of(network) == circuit.depth


@pytest.mark.statement("gkvz-lemma-3.2")
@given(circuits())
@settings(deadline=None, max_examples=60, derandomize=True)
def test_every_preactivation_keeps_its_margin(circuit):
    x = cube(circuit.inputs)
    for layer in layers_of(compile_circuit(circuit)):
        assert layer.preactivation(x).abs().min() >= 0.5
        x = layer(x)


@pytest.mark.statement("gkvz-lemma-3.2")
@pytest.mark.parametrize("seed", range(3))
def test_wide_random_circuits_in_sparse_layers_on_random_inputs(seed):
    generator = torch.Generator().manual_seed(seed)
    inputs, gates = 200, []
    for wire in range(inputs, 1200):
        kind = KINDS[int(torch.randint(len(KINDS), (), generator=generator))]
        fan_in = 1 if kind in ("NOT", "REPEAT") else int(torch.randint(1, 4, (), generator=generator))
        gates.append(Gate(kind, tuple(torch.randint(max(0, wire - 400), wire, (fan_in,), generator=generator).tolist())))
    circuit = Circuit(inputs, tuple(gates), tuple(range(900, 1200)))
    x = torch.randint(2, (50, inputs), generator=generator).float()
    network = compile_circuit(circuit)
    assert any(isinstance(layer, SparsePerceptrons) for layer in network)
    assert torch.equal(network(x), outputs_by_hand(circuit, x))
    assert depth_of(network) == circuit.depth


def test_constants_alone_make_a_network_too():
    circuit = Circuit(0, (Gate("AND", ()), Gate("OR", ()), Gate("AND", (0, 1)), Gate("OR", (0, 1))), (3, 2, 0))
    assert compile_circuit(circuit)(torch.zeros(2, 0)).tolist() == [[1, 0, 1]] * 2
    wide = Circuit(20_000, (Gate("AND", ()),), (20_000,))  # a sparse layer without an entry
    assert compile_circuit(wide)(torch.zeros(2, 20_000)).tolist() == [[1], [1]]


def test_a_wire_is_repeated_only_as_far_as_it_is_read():
    chain = tuple(Gate("NOT", (wire,)) for wire in range(1, 10))  # reads input 1; input 0 is read by the first gate above it, and by no other
    circuit = Circuit(2, (Gate("AND", (0, 1)), *(Gate("NOT", (g.inputs[0] + 1,)) for g in chain)), (11,))
    assert size_of(compile_circuit(circuit)) == circuit.size
    late = Circuit(2, (Gate("NOT", (0,)), Gate("NOT", (2,)), Gate("AND", (1, 3))), (4,))
    assert size_of(compile_circuit(late)) == late.size + 2


def test_weights_are_buffers_that_no_optimizer_sees():
    network = compile_circuit(parity_circuit(5))
    assert list(network.parameters()) == []
    assert not network(torch.ones(1, 5)).requires_grad


def test_rows_do_not_depend_on_each_other():
    network, x = compile_circuit(parity_circuit(6)), cube(6)
    assert torch.equal(network(x), torch.cat([network(row[None]) for row in x]))
    assert network(x[:0]).shape == (0, 1)


# memory


@given(circuits())
@settings(deadline=None, max_examples=80, derandomize=True)
def test_the_announced_bytes_are_those_of_the_network(circuit):
    assert network_bytes(circuit) == sum(t.numel() * t.element_size() for layer in layers_of(compile_circuit(circuit)) for t in layer.buffers())


def test_the_announced_bytes_of_sparse_layers_too():
    circuit = Circuit(
        300, tuple(Gate("NAND", (i, (7 * i) % 300, (i + 1) % 300)) for i in range(200)) + (Gate("AND", tuple(range(100, 500))),), (500, 300, 2, 500)
    )
    network = compile_circuit(circuit)
    assert isinstance(network[0], SparsePerceptrons)
    assert network_bytes(circuit) == sum(t.numel() * t.element_size() for t in network.buffers())


def test_a_circuit_too_large_for_the_memory_given_is_refused_before_it_is_built():
    circuit = parity_circuit(64)
    needed = network_bytes(circuit)
    assert depth_of(compile_circuit(circuit, max_bytes=needed)) == circuit.depth
    with pytest.raises(ValueError, match=rf"at most max_bytes = {needed - 1} bytes, got one of {needed}: Circuit\(64 inputs"):
        compile_circuit(circuit, max_bytes=needed - 1)
    # 20,000 wires dragged through 20,000 levels would take gigabytes; that is counted, not tried
    deep = Circuit(20_000, tuple(Gate("NOT", (20_000 + i - 1,)) for i in range(20_000)) + (Gate("AND", tuple(range(40_000))),), (40_000,))
    with pytest.raises(ValueError, match="max_bytes = 1073741824"):
        compile_circuit(deep)


# bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gate("XOR", 2), "kind must be one of AND, OR, NAND, NOR, NOT, REPEAT, got 'XOR'"),
        (lambda: gate("NOT", 2), "fan_in of NOT must be 1, got 2"),
        (lambda: gate("REPEAT", 0), "fan_in of REPEAT must be 1, got 0"),
        (lambda: gate("AND", -1), "fan_in must be a whole number of at least 0, got -1"),
        (lambda: gate("AND", 2.0), "fan_in must be a whole number of at least 0, got 2.0"),
        (lambda: gate("AND", 2**23 + 1), "fan_in must be at most 8388608"),
        (lambda: Gate("NOT", (1, 2)), "fan_in of NOT must be 1, got 2"),
        (lambda: clause([1, 2]), r"signs must be a vector of -1, 0 and 1, got \[1, 2\]"),
        (lambda: clause([[1]]), "signs must be a vector"),
        (lambda: clause([float("nan")]), "signs must be a vector"),
        (lambda: parity_circuit(0), "n must be a whole number of at least 1, got 0"),
        (lambda: parity_circuit(2.5), "n must be a whole number of at least 1, got 2.5"),
        (lambda: Circuit(-1, (), (0,)), "inputs must be a whole number of at least 0, got -1"),
        (lambda: Circuit(2, (), ()), "outputs must be at least one wire, got none"),
        (lambda: Circuit(2, (), (2,)), r"outputs must be wires in \[0, 1\], got 2"),
        (lambda: Circuit(2, (), (-1,)), r"outputs must be wires in \[0, 1\], got -1"),
        (lambda: Circuit(1, (Gate("NOT", (7,)),), (1,)), r"gates\[0\] \(NOT, wire 1\) must read wires below 1, got wire 7, which does not exist"),
        (lambda: Circuit(1, (Gate("NOT", (0.5,)),), (1,)), "got wire 0.5, which does not exist"),
        (lambda: Circuit(1, (Gate("NOT", (-1,)),), (1,)), "got wire -1, which does not exist"),
        (lambda: Circuit(1, (Gate("NOT", (1,)),), (1,)), "got wire 1, which a later gate gives, so that gates are out of order or form a cycle"),
        (lambda: Circuit(1, (Gate("AND", (0, 2)), Gate("NOT", (1,))), (2,)), r"gates\[0\] \(AND, wire 1\) .* got wire 2, which a later gate gives"),
        (lambda: parity_circuit(3).evaluate(torch.zeros(2, 4)), r"bits must have the shape \(b, 3\), got \(2, 4\)"),
        (lambda: parity_circuit(3).evaluate(torch.zeros(3)), r"bits must have the shape \(b, 3\), got \(3,\)"),
        (lambda: parity_circuit(1).evaluate(torch.tensor([[0.5]])), "bits must be 0 or 1, got 0.5"),
        (lambda: parity_circuit(1).evaluate(torch.tensor([[float("nan")]])), "bits must be 0 or 1, got nan"),
        (lambda: parity_circuit(1).transcript(torch.tensor([[2]])), "bits must be 0 or 1, got 2"),
        (lambda: compile_circuit("a & b"), "circuit must be a Circuit, got str"),
        (lambda: compile_circuit(parity_circuit(3))(torch.zeros(2, 4)), r"x must be floating of shape \(b, 3\), got torch.float32 of shape \(2, 4\)"),
        (lambda: compile_circuit(parity_circuit(3))(torch.full((1, 3), float("nan"))), "x must hold numbers, got 3 NaN"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()

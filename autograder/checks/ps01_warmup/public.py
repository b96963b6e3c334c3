"""Public checks of ps01_warmup. Each judges its own exercise against an oracle that is slow, short and shares no code with the library.

A circuit that a student's process hands over is a value that nothing has looked at: `circuit_of` reads it before anything evaluates it.

The checks of the calculator know its whole table. What one run of a corrector says then has a law that a loop over all of its coins gives exactly, and
`miss_bound` bounds how often voting fails under that law. So nothing is left to the luck of the table. To see that an answer is the machine's, and not the
student's own arithmetic, some machines add a shift to every sum: three additions are then three shifts too high.
"""

from collections import Counter
from itertools import product
from math import ceil, log2, sqrt

import numpy as np
import torch
from backdoors.constructions.circuits import Circuit, Gate
from backdoors.constructions.perceptrons import depth_of

from autograder import declare
from autograder.checking import close, integer, number

MARGIN = 0.5 - 1e-5  # a half, but for the rounding of float32 weights
MOST_GATES = 10_000
TABLES = {
    "AND": lambda bits: all(bits),
    "OR": lambda bits: any(bits),
    "NAND": lambda bits: not all(bits),
    "NOR": lambda bits: not any(bits),
    "NOT": lambda bits: not bits[0],
    "REPEAT": lambda bits: bits[0],
}


# oracles


def all_bits(k: int) -> np.ndarray:
    """All 2^k rows of k bits."""
    return np.array(list(product((0, 1), repeat=k)), dtype=np.float64).reshape(2**k, k)


def require_perceptron(value, k: int, truth: np.ndarray, name: str) -> None:
    """Fails unless `value` is a perceptron (weight, bias) of k wires that gives `truth` on all 2^k rows, at least 1/2 away from the threshold."""
    assert isinstance(value, tuple | list), f"{name} must return the pair (weight, bias), got a {type(value).__name__}"
    assert len(value) == 2, f"{name} must return the pair (weight, bias), got {len(value)} values"
    weight, bias = value[0], number(value[1], f"the bias of {name}")
    assert isinstance(weight, torch.Tensor), f"the weight of {name} must be a tensor, got a {type(weight).__name__}"
    assert weight.shape == (k,), f"the weight of {name} must have the shape ({k},), got {tuple(weight.shape)}"
    assert weight.is_floating_point(), f"the weight of {name} must hold floats, got dtype {weight.dtype}"
    assert bool(weight.isfinite().all()), f"the weight of {name} must be finite, got {weight.tolist()}"
    bits = all_bits(k)
    sums = bits @ weight.double().numpy() + bias
    wrong = np.flatnonzero((sums >= 0) != truth)
    for row in wrong[:1]:
        says = f"<weight, x> + bias is {sums[row]:g}"
        raise AssertionError(f"{name} at x = {bits[row].astype(int).tolist()}: {says}, so it gives {int(sums[row] >= 0)}; it must give {int(truth[row])}")
    closest = int(np.abs(sums).argmin())
    why = f"{name} at x = {bits[closest].astype(int).tolist()}: <weight, x> + bias is {sums[closest]:g}, and must be at least 1/2 away from 0"
    assert abs(sums[closest]) >= MARGIN, why


def gate_truth(kind: str, k: int) -> np.ndarray:
    return np.array([TABLES[kind](bits) for bits in product((0, 1), repeat=k)], dtype=bool)


def clause_truth(signs) -> np.ndarray:
    rows = product((0, 1), repeat=len(signs))
    return np.array([any((s == 1 and bit) or (s == -1 and not bit) for s, bit in zip(signs, bits, strict=True)) for bits in rows], dtype=bool)


def circuit_of(value, inputs: int, outputs: int, name: str) -> Circuit:
    """The circuit that a student's function returned, as one that can be evaluated; fails with a sentence where it is none."""
    assert type(value) is Circuit, f"{name} must return a Circuit, got a {type(value).__name__}"
    assert (type(value.inputs), value.inputs) == (int, inputs), f"{name} must have {inputs} inputs, got {value.inputs!r:.60}"
    assert type(value.gates) in (tuple, list), f"the gates of {name} must be a tuple, got a {type(value.gates).__name__}"
    assert len(value.gates) <= MOST_GATES, f"{name} must have at most {MOST_GATES} gates, got {len(value.gates)}"
    for wire, g in enumerate(value.gates, start=inputs):
        place = f"gate {wire - inputs} of {name}, which gives wire {wire}"
        assert type(g) is Gate, f"{place}, must be a Gate, got a {type(g).__name__}"
        assert g.kind in list(TABLES), f"{place}, must be one of {', '.join(TABLES)}, got {g.kind!r:.60}"
        assert type(g.inputs) in (tuple, list), f"{place}, must read a tuple of wires, got a {type(g.inputs).__name__}"
        assert g.kind not in ("NOT", "REPEAT") or len(g.inputs) == 1, f"{place}, a {g.kind}, must read one wire, got {len(g.inputs)}"
        assert all(type(source) is int and 0 <= source < wire for source in g.inputs), f"{place}, must read wires below {wire}, got {list(g.inputs)!r:.90}"
    assert type(value.outputs) in (tuple, list), f"the outputs of {name} must be a tuple, got a {type(value.outputs).__name__}"
    assert len(value.outputs) == outputs, f"{name} must have {outputs} outputs, got {len(value.outputs)}"
    known = range(inputs + len(value.gates))
    assert all(type(wire) is int and wire in known for wire in value.outputs), f"the outputs of {name} must be wires, got {list(value.outputs)!r:.90}"
    return value


def evaluate(circuit: Circuit, rows: np.ndarray) -> np.ndarray:
    """The outputs of a circuit on rows of bits, gate by gate."""
    wires = [column.astype(bool) for column in rows.T]
    for g in circuit.gates:
        read = np.array([wires[source] for source in g.inputs], dtype=bool).reshape(len(g.inputs), len(rows))
        value = read.all(axis=0) if g.kind in ("AND", "NAND", "NOT", "REPEAT") else read.any(axis=0)
        wires.append(~value if g.kind in ("NAND", "NOR", "NOT") else value)
    return np.array([wires[wire] for wire in circuit.outputs]).T


def depth(circuit: Circuit) -> int:
    """The most gates on a way to an output."""
    longest = [0] * circuit.inputs
    for g in circuit.gates:
        longest.append(1 + max((longest[source] for source in g.inputs), default=0))
    return max(longest[wire] for wire in circuit.outputs)


def require_parity(value, n: int, rows: np.ndarray) -> None:
    """Fails unless `value` is a circuit that gives the parity of the rows, no deeper and no larger than promised."""
    circuit = circuit_of(value, n, 1, f"parity_circuit({n})")
    widest = max((len(g.inputs) for g in circuit.gates), default=0)
    assert widest <= 2, f"the gates of parity_circuit({n}) must read at most two wires, one reads {widest}"
    assert len(circuit.gates) <= 4 * (n - 1), f"parity_circuit({n}) must have at most 4 ({n} - 1) = {4 * (n - 1)} gates, got {len(circuit.gates)}"
    most = 2 * ceil(log2(n))
    assert depth(circuit) <= most, f"parity_circuit({n}) must have depth at most 2 ceil(log2 {n}) = {most}, got {depth(circuit)}"
    answers = evaluate(circuit, rows)[:, 0]
    for row in np.flatnonzero(answers != rows.sum(axis=1) % 2)[:1]:
        ones = int(rows[row].sum())
        raise AssertionError(f"parity_circuit({n}) gives {int(answers[row])} for {rows[row].astype(int).tolist()}, which holds {ones} ones")


def require_compiled(network, circuit: Circuit, rows: np.ndarray) -> None:
    """Fails unless `network` is made of perceptrons, has the circuit's depth and gives its outputs on the rows."""
    name = f"the network of a circuit with {circuit.inputs} inputs, {len(circuit.gates)} gates and depth {depth(circuit)}"
    assert isinstance(network, torch.nn.Module), f"{name} must be an nn.Sequential of layers that perceptron_layer makes, or of a Pick, got {network!r:.40}"
    layers = depth_of(network)
    assert layers == depth(circuit), f"{name} must have {depth(circuit)} layers of perceptrons, got {layers}"
    expected = evaluate(circuit, rows)
    try:
        answers = network(torch.from_numpy(rows).float())
    except (ValueError, RuntimeError, IndexError) as error:  # layers whose sizes do not fit, say
        raise AssertionError(f"{name} could not be run on {len(rows)} rows of {circuit.inputs} bits: {error!s:.200}") from None
    assert answers.shape == expected.shape, f"{name} must give {len(circuit.outputs)} outputs a row, shape {expected.shape}, got {tuple(answers.shape)}"
    for row, output in np.argwhere(answers.numpy() != expected)[:1]:
        bits, got = rows[row].astype(int).tolist(), float(answers[row, output])
        raise AssertionError(f"{name} gives {got:g} for output {output} at {bits}, the circuit gives {int(expected[row, output])}")


def ripple_adder(k: int) -> Circuit:
    """The sum of two k-bit numbers, k + 1 bits, lowest first; wires of the inputs are read many levels above."""
    gates, outputs, carry = [], [], None

    def add(kind: str, *wires: int) -> int:
        gates.append(Gate(kind, wires))
        return 2 * k + len(gates) - 1

    def xor(a: int, b: int) -> int:
        return add("AND", add("OR", a, b), add("NAND", a, b))

    for a, b in zip(range(k), range(k, 2 * k), strict=True):
        outputs.append(xor(a, b) if carry is None else xor(xor(a, b), carry))
        both = add("AND", a, b)
        carry = both if carry is None else add("OR", both, add("AND", carry, add("OR", a, b)))
    return Circuit(2 * k, tuple(gates), (*outputs, carry))


def interval_of(value, name: str) -> tuple[float, float]:
    """(low, high) as floats; fails with a sentence where they are none."""
    assert isinstance(value, tuple | list), f"{name} must return the pair (low, high), got a {type(value).__name__}"
    assert len(value) == 2, f"{name} must return the pair (low, high), got {len(value)} values"
    low, high = number(value[0], f"low of {name}"), number(value[1], f"high of {name}")
    assert 0 <= low <= high <= 1, f"{name} must be an interval in [0, 1], got ({low:.6g}, {high:.6g})"
    return low, high


class Machine:
    """A calculator P(x[b], y[b]) -> [b] that answers from a table and remembers what it was asked; every pair is one query, counted by an oracle."""

    def __init__(self, challenger, table: np.ndarray, budget: int):
        self.table, self.asked = torch.from_numpy(table), []
        self.oracle = challenger.oracle(self._answer, budget)

    def _answer(self, pairs: torch.Tensor) -> torch.Tensor:
        self.asked.append(pairs.numpy())
        return self.table[pairs[:, 0], pairs[:, 1]]

    @property
    def pairs(self) -> np.ndarray:
        """All pairs asked so far, (queries, 2)."""
        return np.concatenate([np.zeros((0, 2), dtype=np.int64), *self.asked])

    def __call__(self, x, y):
        n = len(self.table)
        for name, operand in (("x", x), ("y", y)):
            whole = isinstance(operand, torch.Tensor) and operand.dtype == torch.int64 and operand.ndim == 1
            if not whole:
                got = f"{operand.dtype} of shape {tuple(operand.shape)}" if isinstance(operand, torch.Tensor) else f"a {type(operand).__name__}"
                raise ValueError(f"P(x, y) takes int64 tensors of shape [b], a row for each question, and got {got} for {name}")
            if len(operand) and not 0 <= int(operand.min()) <= int(operand.max()) < n:
                raise ValueError(f"the operands of P lie in 0, ..., {n - 1}, and {name} reaches from {int(operand.min())} to {int(operand.max())}")
        if len(x) != len(y):
            raise ValueError(f"P(x, y) takes as many x as y, got {len(x)} and {len(y)}")
        return self.oracle(torch.stack([x, y], dim=1))


def sums(n: int, shift: int = 0) -> np.ndarray:
    """The table of x + y + shift modulo n."""
    return (np.arange(n)[:, None] + np.arange(n) + shift) % n


def one_run(table: np.ndarray, x: int, y: int) -> Counter:
    """How many of the n possible u make one run P(P(x, u), P(y, -u)) say what."""
    n = len(table)
    return Counter(int(table[table[x, u], table[y, -u % n]]) for u in range(n))


def miss_bound(law: Counter, right: int, runs: int) -> float:
    r"""Chernoff's bound on the probability that among `runs` draws from the law some other answer is at least as frequent as the right one.

    For one other answer of probability q, beside p of the right one, it is $(1-(\sqrt p-\sqrt q)^2)^{runs}$ where p > q; the sum is over all others.
    """
    total = sum(law.values())
    p, others = law[right] / total, [count / total for answer, count in law.items() if answer != right]
    return 1.0 if max(others, default=0) >= p else sum((1 - (sqrt(p) - sqrt(q)) ** 2) ** runs for q in others)


def questions_follow_the_generator(ask) -> None:
    """Fails unless `ask(generator)` gives the same questions for generators in the same state and others for others."""
    first, same, other = (ask(torch.Generator().manual_seed(seed)) for seed in (5, 5, 6))
    assert np.array_equal(first, same), "two generators in the same state must lead to the same questions: draw from g alone"
    # Of an honest corrector, 20 uniform draws among 97 or more numbers coincide with probability below 1e-39.
    assert not np.array_equal(first, other), "generators of different seeds must lead to different questions: draw from g"


# gate


@declare("gate", points=2, statement="gkvz-lemma-b.1", false_fail=0)
def test_gates_of_up_to_four_wires(student, challenger):
    for kind in TABLES:
        for fan_in in (1,) if kind in ("NOT", "REPEAT") else range(5):
            require_perceptron(student.gate(kind, fan_in), fan_in, gate_truth(kind, fan_in), f"gate({kind!r}, {fan_in})")


# clause


@declare("clause", points=2, statement="gkvz-lemma-b.1", false_fail=0)
def test_clauses_of_three_literals(student, challenger):
    for signs in [*product((-1, 1), repeat=3), (1, 0, 0), (0, -1, 1), (-1, 0, -1), (0, 0, 0)]:
        require_perceptron(student.clause(torch.tensor(signs)), 3, clause_truth(signs), f"clause({list(signs)})")


# parity_circuit


@declare("parity_circuit", points=3, statement="gkvz-lemma-3.2", false_fail=0)
def test_parity_of_up_to_six_wires(student, challenger):
    for n in range(1, 7):
        require_parity(student.parity_circuit(n), n, all_bits(n))


# compile_circuit


@declare("compile_circuit", points=4, statement="gkvz-lemma-3.2", false_fail=0)
def test_an_adder_becomes_a_network_of_its_depth(student, challenger):
    for circuit in (
        Circuit(2, (Gate("NAND", (0, 1)),), (2,)),
        Circuit(2, (Gate("NOT", (0,)), Gate("OR", (2, 1))), (3,)),  # wire 1 is read a level above its own
        Circuit(2, (Gate("OR", (0, 1)), Gate("NOT", (2,))), (2, 3, 0)),  # outputs of three levels
        Circuit(1, (Gate("AND", ()), Gate("NAND", (0, 1))), (2,)),  # a gate of no wires is a constant
        Circuit(3, (), (2, 0)),  # no gate: no layer
        ripple_adder(1),
        ripple_adder(4),
    ):
        require_compiled(student.compile_circuit(circuit), circuit, all_bits(circuit.inputs))


# advantage_interval


@declare("advantage_interval", points=2, statement="gkvz-def-4.6-white", false_fail=0)
def test_interval_where_all_or_none_hit(student, challenger):
    # With 0 of n hits the probability is at most 1 - (alpha/4)^(1/n), with n of n at least (alpha/4)^(1/n): each of four ends errs with alpha/4.
    for n_a, n_b, alpha in ((10, 10, 0.05), (100, 30, 0.01), (1, 1, 0.2), (2000, 1000, 0.05)):
        room_a, room_b = 1 - (alpha / 4) ** (1 / n_a), 1 - (alpha / 4) ** (1 / n_b)
        for hits_a, hits_b, low, high in (
            (0, 0, 0, max(room_a, room_b)),
            (n_a, n_b, 0, max(room_a, room_b)),
            (0, n_b, max(0, 1 - room_a - room_b), 1),
            (n_a, 0, max(0, 1 - room_a - room_b), 1),
        ):
            require_interval(student, (hits_a, n_a, hits_b, n_b, alpha), low, high)
    for case in ((0, 0, 3, 8, 0.05), (0, 0, 0, 0, 0.05)):  # nothing is known of a world that was never played
        assert interval_of(student.advantage_interval(*case), f"advantage_interval{case}")[0] == 0, f"advantage_interval{case} must begin at 0"
    require_interval(student, (0, 0, 0, 20, 0.05), 0, 1)


def require_interval(student, case, low: float, high: float) -> None:
    found = interval_of(student.advantage_interval(*case), f"advantage_interval{case}")
    close(found[0], low, 1e-9, f"low of advantage_interval{case}")
    close(found[1], high, 1e-9, f"high of advantage_interval{case}")


# correct_sum


@declare("correct_sum", points=2, statement="vafa-calculator", false_fail=1e-8)
def test_sums_survive_a_tenth_of_wrong_entries(student, challenger):
    # Tables and questions are drawn until `miss_bound` is below 1e-9 for 201 runs: five of them make 5e-9. The question itself is always answered wrongly.
    n, runs, done = 97, 201, 0
    while done < 5:
        wrong = challenger.rng.random((n, n)) < 0.1
        table = (sums(n) + wrong * challenger.rng.integers(1, n, (n, n))) % n
        x, y = (int(index) for index in challenger.rng.choice(np.argwhere(wrong)))
        if miss_bound(one_run(table, x, y), (x + y) % n, runs) > 1e-9:
            continue
        done += 1
        machine = Machine(challenger, table, budget=3 * runs)
        answer = integer(student.correct_sum(machine, x, y, n, runs, challenger.generator), "correct_sum's answer")
        case = f"{x} + {y} modulo {n}, from a calculator that is wrong on a tenth of all pairs, on this one too (it says {table[x, y]})"
        assert answer == (x + y) % n, f"{case}: {runs} runs must find {(x + y) % n}, got {answer}"

    def ask(generator):
        machine = Machine(challenger, sums(97), budget=60)
        student.correct_sum(machine, 5, 90, 97, 20, generator)
        return machine.pairs

    questions_follow_the_generator(ask)
    shifted = Machine(challenger, sums(97, 5), budget=60)  # x + u + 5, y - u + 5, and 5 more for their sum: in every run
    answer = integer(student.correct_sum(shifted, 5, 30, 97, 20, challenger.generator), "correct_sum's answer")
    case = "from a machine that adds 5 to every sum, P(P(5, u), P(30, -u)) is 35 + 15 = 50 for every u"
    assert answer == 50, f"{case}, so 20 runs must say 50, got {answer}: the answer is to be what most runs give, right or wrong"


# correct_sum_worst_case


@declare("correct_sum_worst_case", points=2, statement="vafa-calculator", false_fail=1e-8)
def test_sums_survive_a_row_of_errors(student, challenger):
    # Rows x and y are wrong, five more, and column y: at most 8/61 of all pairs, by one offset, so that errors agree. A run is right with probability p at
    # least 1 - 16/61, and one other answer has at most 1 - p: by Chernoff, as in `miss_bound`, 301 runs fail with probability below 1e-16.
    n, runs = 61, 301
    for _ in range(4):
        x, y, offset = (int(value) for value in challenger.rng.integers(1, n, 3))
        rows = [x, y, *challenger.rng.choice(n, 5, replace=False)]
        table = sums(n)
        table[rows] += offset
        table[:, y] = np.arange(n) + y + offset
        table %= n
        right = (x + y) % n
        machine = Machine(challenger, table, budget=2 * runs)
        answer = integer(student.correct_sum_worst_case(machine, x, y, n, runs, challenger.generator), "correct_sum_worst_case's answer")
        case = f"{x} + {y} modulo {n}, from a calculator that is wrong on all of row {x}, all of column {y} and some more rows"
        assert answer == right, f"{case}: {runs} runs must find {right}, got {answer}"

    def ask(generator):
        machine = Machine(challenger, sums(97), budget=40)
        student.correct_sum_worst_case(machine, 5, 90, 97, 20, generator)
        return machine.pairs

    questions_follow_the_generator(ask)
    shifted = Machine(challenger, sums(97, 5), budget=40)
    answer = integer(student.correct_sum_worst_case(shifted, 5, 30, 97, 20, challenger.generator), "correct_sum_worst_case's answer")
    case = "from a machine that adds 5 to every sum, the two answers of a run add up to 35 + 10 = 45"
    assert answer == 45, f"{case}, so 20 runs must say 45, got {answer}: the answer is to be what most runs give, right or wrong"

"""Hidden checks of ps01_warmup: fresh inputs, exact laws. The oracles are those of the public checks.

Every machine adds a shift to each sum, so that what is right of it is not x + y: an answer must be the machine's.
"""

from collections import Counter
from itertools import product

import numpy as np
import torch
from backdoors.constructions.circuits import Circuit, Gate
from scipy.stats import binom

from autograder import declare
from autograder.checking import integer
from autograder.checks.ps01_warmup.public import (
    TABLES,
    Machine,
    all_bits,
    clause_truth,
    gate_truth,
    interval_of,
    miss_bound,
    one_run,
    require_compiled,
    require_interval,
    require_parity,
    require_perceptron,
    ripple_adder,
    sums,
)
from autograder.statistics import binomial_at_most, dkw, sequential_at_least

ROUNDING = 1e-5  # torch draws a number below n from 32 bits: for n <= 1009 a distribution function moves by less than 3e-7


# gate


@declare("gate", points=2, statement="gkvz-lemma-b.1", false_fail=0)
def test_gates_of_up_to_twelve_wires(student, challenger):
    for kind in ("AND", "OR", "NAND", "NOR"):
        for fan_in in (*challenger.rng.choice(range(5, 12), 3, replace=False).tolist(), 12):
            require_perceptron(student.gate(kind, fan_in), fan_in, gate_truth(kind, fan_in), f"gate({kind!r}, {fan_in})")


# clause


@declare("clause", points=2, statement="gkvz-lemma-b.1", false_fail=0)
def test_clauses_of_up_to_six_literals(student, challenger):
    every = [signs for k in range(5) for signs in product((-1, 0, 1), repeat=k)]
    longer = [tuple(challenger.rng.integers(-1, 2, k).tolist()) for k in (5, 6) for _ in range(40)]
    for signs in [*every, *longer, (-1,) * 6, (0,) * 6]:
        require_perceptron(student.clause(torch.tensor(signs, dtype=torch.int64)), len(signs), clause_truth(signs), f"clause({list(signs)})")


# parity_circuit


@declare("parity_circuit", points=3, statement="gkvz-lemma-3.2", false_fail=0)
def test_parity_is_shallow_and_small(student, challenger):
    for n in (*range(7, 13), *challenger.rng.integers(13, 200, 3).tolist(), 64, 65):
        rows = all_bits(n) if n <= 12 else challenger.rng.integers(0, 2, (200, n)).astype(np.float64)
        require_parity(student.parity_circuit(n), n, rows)


# compile_circuit


def drawn_circuit(rng: np.random.Generator) -> Circuit:
    """A circuit of up to eight inputs whose gates read any wires below, so that some skip levels and some are never read."""
    inputs, size, outputs = int(rng.integers(1, 9)), int(rng.integers(1, 25)), int(rng.integers(1, 5))
    gates = []
    for wire in range(inputs, inputs + size):
        kind = str(rng.choice(list(TABLES)))
        fan_in = 1 if kind in ("NOT", "REPEAT") else int(rng.integers(0, 5))
        near = rng.random() < 0.6  # deep circuits too
        gates.append(Gate(kind, tuple(rng.integers(max(0, wire - 3) if near else 0, wire, fan_in).tolist())))
    return Circuit(inputs, tuple(gates), tuple(rng.integers(0, inputs + size, outputs).tolist()))


@declare("compile_circuit", points=5, statement="gkvz-lemma-3.2", false_fail=0)
def test_forty_drawn_circuits_become_networks_of_their_depth(student, challenger):
    for _ in range(40):
        circuit = drawn_circuit(challenger.rng)
        require_compiled(student.compile_circuit(circuit), circuit, all_bits(circuit.inputs))


@declare("compile_circuit", points=2, statement="gkvz-lemma-3.2", false_fail=0)
def test_wires_survive_the_levels_that_they_skip(student, challenger):
    k = int(challenger.rng.integers(5, 9))
    bits = challenger.rng.integers(0, 2, (300, 2 * k)).astype(np.float64)
    chain = [Gate("NAND", (0, 1))] + [Gate("NAND", (wire, int(challenger.rng.integers(wire)))) for wire in range(6, 40)]
    late = Circuit(6, tuple(chain), (40, 0, 6, 40, 3))  # outputs named twice, and inputs among them
    idle = Circuit(4, (Gate("AND", (0, 1)), Gate("OR", (2, 3)), Gate("NOT", (4,)), Gate("NOT", (6,))), (5, 2))  # its deepest gates reach no output
    for circuit, rows in ((ripple_adder(k), bits), (late, all_bits(6)), (idle, all_bits(4))):
        require_compiled(student.compile_circuit(circuit), circuit, rows)


# advantage_interval


@declare("advantage_interval", points=2, statement="gkvz-def-4.6-black", false_fail=0)
def test_interval_misses_with_probability_at_most_alpha(student, challenger):
    # The exact probability of a miss, over all outcomes, on a grid of both probabilities that is denser near 0 and 1.
    grid = np.sin(np.linspace(0.01, 1, 24) * np.pi / 2) ** 2
    for n_a, n_b in ((1, 1), (4, 11), (int(challenger.rng.integers(15, 31)), int(challenger.rng.integers(2, 9)))):
        alpha = float(challenger.rng.uniform(0.01, 0.3))
        outcomes = list(product(range(n_a + 1), range(n_b + 1)))
        case = f"n_a = {n_a}, n_b = {n_b}, alpha = {alpha:.4g}"
        found = [interval_of(student.advantage_interval(a, n_a, b, n_b, alpha), f"the interval for {a} and {b} hits, {case}") for a, b in outcomes]
        low, high = np.array(found).T[:, :, None, None]
        hits_a, hits_b = np.array(outcomes).T
        chances = binom.pmf(hits_a[:, None], n_a, grid)[:, :, None] * binom.pmf(hits_b[:, None], n_b, grid)[:, None, :]
        truth = np.abs(grid[:, None] - grid)
        miss = (chances * ((truth < low - 1e-12) | (truth > high + 1e-12))).sum(axis=0)
        i, j = np.unravel_index(miss.argmax(), miss.shape)
        where = f"p_a = {grid[i]:.4g}, p_b = {grid[j]:.4g}"
        assert miss[i, j] <= alpha * (1 + 1e-9), f"{case}: at {where} the interval misses the difference with probability {miss[i, j]:.4g}"


@declare("advantage_interval", points=2, statement="gkvz-def-4.6-white", false_fail=0)
def test_interval_is_that_of_two_clopper_pearson_intervals(student, challenger):
    for size in (5, 30, 200, 3000, 50_000):
        for _ in range(3):
            n_a, n_b = (int(n) for n in challenger.rng.integers(1, size + 1, 2))
            p_a, p_b, alpha = (float(value) for value in challenger.rng.uniform((0, 0, 0.001), (1, 1, 0.3)))
            hits_a, hits_b = int(challenger.rng.binomial(n_a, p_a)), int(challenger.rng.binomial(n_b, p_b))
            (low_a, high_a), (low_b, high_b) = clopper_pearson(hits_a, n_a, alpha / 4), clopper_pearson(hits_b, n_b, alpha / 4)
            low, high = max(0.0, low_a - high_b, low_b - high_a), max(high_a - low_b, high_b - low_a)
            require_interval(student, (hits_a, n_a, hits_b, n_b, alpha), low, high)


def clopper_pearson(hits: int, n: int, tail: float) -> tuple[float, float]:
    """The p at which `hits` or more, and those at which `hits` or fewer, have probability `tail`: bisection over the exact binomial sums."""

    def root(below) -> float:
        low, high = 0.0, 1.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if below(middle) else (low, middle)
        return low

    lower = root(lambda p: binom.sf(hits - 1, n, p) <= tail) if hits else 0.0
    return lower, root(lambda p: binom.cdf(hits, n, p) > tail) if hits < n else 1.0


# correct_sum


@declare("correct_sum", points=1, statement="vafa-calculator", false_fail=1e-8)
def test_every_run_asks_three_questions_with_fresh_coins(student, challenger):
    # DKW with N = 1000 and a share of 1e-8 rejects at .098. Power: u from the lower half of the range, or one u for all runs, is .5 and more away.
    n, runs = 1009, 1000
    x, y = challenger.rng.choice(range(1, n), 2, replace=False).tolist()
    shift = int(challenger.rng.integers(1, 300))
    shift += (y + 3 * shift) % n == 0
    machine = Machine(challenger, sums(n, shift), budget=4 * runs)
    answer, right = integer(student.correct_sum(machine, x, y, n, runs, challenger.generator), "correct_sum's answer"), (x + y + 3 * shift) % n
    assert answer == right, f"{x} + {y} modulo {n}, from a machine that adds {shift} to every sum: every run says {right}, got {answer}"
    asked = machine.pairs
    assert len(asked) == 3 * runs, f"{runs} runs must ask {3 * runs} questions, three a run, asked {len(asked)}"
    first = np.sort(asked[asked[:, 0] == x, 1])  # every u; and for every u = -shift, where the first answer is x, the second one
    again = int((first == -shift % n).sum())
    coins = np.delete(first, np.flatnonzero(first == (y + 2 * shift) % n)[:again])
    second = asked[asked[:, 0] == y, 1]
    assert len(coins) == runs, f"{runs} runs must ask P(x, u) with x = {x}, each with a u of its own; got {len(coins)} such questions"
    missing = Counter((-coins % n).tolist()) - Counter(second.tolist())
    assert not missing, f"beside P(x, u) a run must ask P(y, -u) with y = {y}, and did not for u = {-next(iter(missing), 0) % n}"
    outcome = dkw(coins, lambda t: np.clip(np.floor(t) + 1, 0, n) / n, shift=ROUNDING)
    challenger.accept(outcome, f"u must be fresh and uniform on 0, ..., {n - 1} in every run")


@declare("correct_sum", points=1, statement="vafa-calculator", false_fail=1e-8)
def test_one_run_is_right_with_the_promised_probability(student, challenger):
    # On one fixed table 1 - 3 delta holds up to the luck of its rows x and y and its sums x + y. So every run has a table of its own, each of whose entries is
    # wrong with probability delta, independently: the entries at (x, u), (y, -u) and (x + u + shift, y - u + shift), three places that none of them decides,
    # are all right with probability at least 1 - 3 delta, and the runs are independent. So the test rejects a correct answer with probability at most 1e-8.
    # Power: .999 where one run is right in half of the cases.
    n, delta, shift = 31, 0.06, int(challenger.rng.integers(1, 30))

    def observations():
        for _ in range(400):
            wrong = challenger.rng.random((n, n)) < delta
            table = (sums(n, shift) + wrong * challenger.rng.integers(1, n, (n, n))) % n
            x, y = (int(value) for value in challenger.rng.integers(0, n, 2))
            machine = Machine(challenger, table, budget=3)
            yield integer(student.correct_sum(machine, x, y, n, 1, challenger.generator), "correct_sum's answer") == (x + y + 3 * shift) % n

    outcome = sequential_at_least(observations(), 1 - 3 * delta, 0.5)
    message = f"with {delta:.0%} of the entries wrong, one run must be right with probability at least {1 - 3 * delta:.2f}, was in {outcome.statistic:.2f}"
    challenger.accept(outcome, message)


@declare("correct_sum", points=1, statement="vafa-calculator", false_fail=1e-8)
def test_the_commonest_answer_wins_without_a_majority(student, challenger):
    # Of the places that a run's last question may ask, 36% hold the right answer; the others are too low by 5, 6, ..., or 11. The law of a run is exact;
    # tables are drawn until `miss_bound` is below 1e-9.
    n, runs = 97, 301
    x, y, shift = (int(value) for value in challenger.rng.integers(5, 16, 3))
    right = x + y + 3 * shift
    while True:
        table = sums(n, shift)
        table[np.arange(n), (x + y + 2 * shift - np.arange(n)) % n] -= challenger.rng.permutation(np.resize([0, 5, 6, 0, 7, 8, 0, 9, 10, 0, 11], n))
        table %= n
        law = one_run(table, x, y)
        if miss_bound(law, right, runs) < 1e-9:
            break
    answer = integer(student.correct_sum(Machine(challenger, table, 3 * runs), x, y, n, runs, challenger.generator), "correct_sum's answer")
    shares = ", ".join(f"{said}: {count / n:.0%}" for said, count in law.most_common(3))
    assert answer == right, f"the commonest answers of a run are {shares}; the answer must be {right}, got {answer}"


# correct_sum_worst_case


def one_run_worst_case(table: np.ndarray, x: int, y: int) -> Counter:
    """How many of the n^2 possible splits make one run P(x_1, y_1) + P(x - x_1, y - y_1) say what."""
    n = len(table)
    rest = table[(x - np.arange(n)) % n][:, (y - np.arange(n)) % n]
    said, counts = np.unique((table + rest) % n, return_counts=True)
    return Counter(dict(zip(said.tolist(), counts.tolist(), strict=True)))


@declare("correct_sum_worst_case", points=2, statement="vafa-calculator", false_fail=1e-8)
def test_every_question_is_a_uniform_pair(student, challenger):
    # The two questions of a run add up to (x, y). For a direction (i, j), t = i a + j b modulo n of a question (a, b) and c - t of its partner make one number,
    # the smaller, whose law is exact; the sorted numbers of all questions come in equal pairs, one pair a run, so that every second is a sample of its own.
    # DKW with N = 1000 and a share of 1e-9 rejects at .104. Power: one operand that is not split, or y_1 = x_1 or -x_1, leaves one direction constant; a half
    # of the range moves one by .25. Any other y_1 that follows from x_1 leaves at most 1009 different runs: a run repeats an earlier one with probability at
    # most 2 N / n^2 = .002 otherwise, whatever came before (one of N unordered pairs, two of n^2 splits each).
    n, runs = 1009, 1000
    x, y = (int(value) for value in challenger.rng.integers(50, 600, 2))
    shift = int(challenger.rng.integers(1, n // 2))
    machine = Machine(challenger, sums(n, shift), budget=3 * runs)
    answer = integer(student.correct_sum_worst_case(machine, x, y, n, runs, challenger.generator), "correct_sum_worst_case's answer")
    right = (x + y + 2 * shift) % n
    assert answer == right, f"{x} + {y} modulo {n}, from a machine that adds {shift} to every sum: every run says {right}, got {answer}"
    asked = machine.pairs
    assert len(asked) == 2 * runs, f"{runs} runs must ask {2 * runs} questions, two a run, asked {len(asked)}"
    partners = (np.array([x, y]) - asked) % n
    places, others = (np.sort(pairs @ np.array([n, 1])) for pairs in (asked, partners))
    assert np.array_equal(places, others), f"the two questions of a run must add up to ({x}, {y}) modulo {n}, in either operand"
    for i, j, what in ((1, 0, "first operands"), (0, 1, "second operands"), (1, 1, "sums of both operands"), (1, -1, "differences of both operands")):
        c, every = (i * x + j * y) % n, np.arange(n)
        law = np.sort(np.minimum(every, (c - every) % n))
        t = asked @ np.array([i, j]) % n
        samples = np.sort(np.minimum(t, (c - t) % n))[::2]
        outcome = dkw(samples, lambda value: np.searchsorted(law, value, side="right") / n, share=1e-9, shift=ROUNDING)  # noqa: B023 (called at once)
        challenger.accept(outcome, f"each question must be a fresh uniform pair, and the {what} are not uniform")
    runs_apart = len(np.unique(np.minimum(asked @ np.array([n, 1]), partners @ np.array([n, 1]))))
    outcome = binomial_at_most(runs - runs_apart, runs, 2.1 * runs / n**2, share=1e-9)
    challenger.accept(outcome, f"the two operands must be split independently of each other and of other runs, and of {runs} runs only {runs_apart} differ")


@declare("correct_sum_worst_case", points=1, statement="vafa-calculator", false_fail=4e-8)
def test_one_run_is_right_wherever_the_errors_are(student, challenger):
    # Either question is uniform, so that it is wrong with probability exactly delta, the share of wrong entries: no luck is left. Runs are independent.
    n, shift = 41, int(challenger.rng.integers(1, 20))
    numbers = np.arange(n)
    x, y = (int(value) for value in challenger.rng.integers(0, n, 2))
    offset = int(challenger.rng.integers(1, n))
    near = [(numbers - value + 9) % n < 18 for value in (x, y)]
    lines = challenger.rng.choice(n, 7, replace=False)
    for name, wrong in {
        f"on row {x} and others": np.isin(numbers, [x, *lines])[:, None] & (numbers >= 0),
        f"on column {y} and others": (numbers >= 0)[:, None] & np.isin(numbers, [y, *lines]),
        f"on the sums {x} + {y} and others": np.isin((numbers[:, None] + numbers) % n, [(x + y) % n, *lines]),
        f"in a box around ({x}, {y})": near[0][:, None] & near[1],
    }.items():
        table, delta = (sums(n, shift) + wrong * offset) % n, wrong.mean()
        machine = Machine(challenger, table, budget=3 * 1000)

        def observations():
            for _ in range(1000):
                said = student.correct_sum_worst_case(machine, x, y, n, 1, challenger.generator)  # noqa: B023 (called at once)
                yield integer(said, "correct_sum_worst_case's answer") == (x + y + 2 * shift) % n

        outcome = sequential_at_least(observations(), 1 - 2 * delta, 0.3)
        case = f"with {delta:.0%} of the entries wrong, {name}, one run must be right with probability at least {1 - 2 * delta:.2f}"
        challenger.accept(outcome, f"{case}, was in {outcome.statistic:.2f}")


@declare("correct_sum_worst_case", points=1, statement="vafa-calculator", false_fail=1e-8)
def test_the_commonest_total_wins_without_a_majority(student, challenger):
    # Half of the entries are 5, 6, 7, 8 or 9 too low: a run is right with probability about .25, and too low by each of these with about .1. The law of a run
    # is exact; tables are drawn until `miss_bound` is below 1e-9.
    n, runs = 61, 1001
    x, y, shift = (int(value) for value in challenger.rng.integers(7, 15, 3))
    right = x + y + 2 * shift
    while True:
        table = (sums(n, shift) - challenger.rng.choice([0, 0, 0, 0, 0, 5, 6, 7, 8, 9], (n, n))) % n
        law = one_run_worst_case(table, x, y)
        if miss_bound(law, right, runs) < 1e-9:
            break
    machine = Machine(challenger, table, budget=2 * runs)
    answer = integer(student.correct_sum_worst_case(machine, x, y, n, runs, challenger.generator), "correct_sum_worst_case's answer")
    shares = ", ".join(f"{said}: {count / n**2:.0%}" for said, count in law.most_common(3))
    assert answer == right, f"the commonest answers of a run are {shares}; the answer must be {right}, got {answer}"

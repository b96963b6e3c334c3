"""Statistical checks of this file each fail by chance with probability at most 1e-8 (CHANCE), and there are fewer than 100 of them: below 1e-6 in all."""

import math

import numpy as np
import pytest
import torch
from backdoors.oblivious.calculator import (
    PATTERNS,
    Calculator,
    correct_linear,
    correct_matrix_product,
    correct_power,
    correct_sum,
    correct_sum_worst_case,
    faulty_sums,
)
from scipy.stats import binom

CHANCE = 1e-8
WORST = [pattern for pattern in PATTERNS if pattern != "random"]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def at_least(successes, trials, p):
    """Whether the number of successes is compatible with a probability of at least p; a true claim fails with probability at most CHANCE."""
    return binom.cdf(successes, trials, p) > CHANCE


def uniform(samples, cells):
    """Whether every cell 0..cells-1 was hit as often as a uniform draw would hit it; a true claim fails with probability at most CHANCE."""
    counts = np.bincount(np.asarray(samples), minlength=cells)
    low, high = binom.ppf(CHANCE / 2 / cells, len(samples), 1 / cells), binom.isf(CHANCE / 2 / cells, len(samples), 1 / cells)
    return len(counts) == cells and low <= counts.min() and counts.max() <= high


class Recorder:
    """The exact sum modulo n, that keeps what it was asked."""

    def __init__(self, modulus):
        self.modulus, self.calls = modulus, []

    def __call__(self, x, y):
        self.calls.append((x.clone(), y.clone()))
        return (x + y) % self.modulus


# the faulty calculator


@pytest.mark.statement("vafa-calculator")
@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize(("modulus", "delta"), [(20, 0.1), (101, 0.1), (64, 0.03), (30, 0.0), (10, 1.0)])
def test_the_table_is_wrong_on_at_most_a_fraction_delta_and_right_elsewhere(pattern, modulus, delta):
    x, y = 3, modulus - 1
    table = faulty_sums(modulus, delta, pattern, generator(1), x, y)
    wrong = np.array([[table[a, b].item() != (a + b) % modulus for b in range(modulus)] for a in range(modulus)])
    assert wrong.sum() <= delta * modulus**2
    assert wrong.sum() >= delta * modulus**2 - 2 * modulus  # as many as whole lines or a whole square allow
    assert table.min() >= 0
    assert table.max() < modulus
    if pattern == "random" or delta == 0:
        return
    assert wrong[x, y]
    lines = {
        "rows": wrong.all(axis=1) | ~wrong.any(axis=1),
        "columns": wrong.all(axis=0) | ~wrong.any(axis=0),
        "diagonals": np.array([len({wrong[a, (s - a) % modulus] for a in range(modulus)}) == 1 for s in range(modulus)]),
        "boxes": np.array([wrong.sum() == wrong.any(axis=0).sum() * wrong.any(axis=1).sum()]),
    }[pattern]
    assert lines.all()


def test_an_offset_makes_all_errors_agree():
    table = faulty_sums(30, 0.2, "random", generator(), offset=7)
    off = {(table[a, b].item() - a - b) % 30 for a in range(30) for b in range(30)}
    assert off == {0, 7}


def test_the_calculator_counts_rows_and_answers_alike_every_time():
    machine = Calculator(faulty_sums(12, 0.3, "random", generator(2)))
    x, y = torch.arange(12), torch.arange(12).flip(0)
    assert torch.equal(machine(x, y), machine(x, y))
    assert machine.queries == 24


# correctors of sums


@pytest.mark.statement("vafa-calculator")
@pytest.mark.parametrize("corrector", [correct_sum, correct_sum_worst_case])
@pytest.mark.parametrize("modulus", [2, 3, 10, 1000, 2**31 - 1, 2**31])
def test_a_right_calculator_stays_right(corrector, modulus):
    for x, y in [(0, 0), (modulus - 1, modulus - 1), (1, modulus - 1), (modulus // 2, modulus // 3)]:
        assert corrector(Recorder(modulus), x, y, modulus, 7, generator()) == (x + y) % modulus


@pytest.mark.statement("vafa-calculator")
def test_one_run_of_the_first_corrector_is_right_with_1_minus_3_delta_over_tables():
    modulus, delta, trials = 211, 0.1, 3000
    right = 0
    for seed in range(30):
        table = faulty_sums(modulus, delta, "random", generator(seed))
        x, y = torch.randint(modulus, (2,), generator=generator(seed + 100)).tolist()
        g = generator(seed + 200)
        right += sum(correct_sum(Calculator(table), x, y, modulus, 1, g) == (x + y) % modulus for _ in range(trials // 30))
    # the 100 runs of a table share its luck, so that they are no binomial; but they are right with .9^3 = .729 on average, 7 standard deviations above what
    # fails here
    assert at_least(right, trials, 1 - 3 * delta)


@pytest.mark.statement("vafa-calculator")
def test_many_runs_correct_every_question_at_ten_percent():
    # of the 303 entries that the runs of a question look at, 75 or more are wrong with probability 1e-13; else the right answer has a fourth of the runs, and
    # of the wrong ones, which are spread over 100 numbers, none has half as many but with probability 1e-11: for all questions below 1e-8
    modulus, delta, runs = 101, 0.1, 400
    machine = Calculator(faulty_sums(modulus, delta, "random", generator(5)))
    questions = [(x, y) for x in range(0, modulus, 9) for y in range(0, modulus, 8)]
    wrong_alone = sum(machine(torch.tensor([x]), torch.tensor([y])).item() != (x + y) % modulus for x, y in questions)
    assert wrong_alone >= 5
    machine.queries = 0
    assert all(correct_sum(machine, x, y, modulus, runs, generator(x * modulus + y)) == (x + y) % modulus for x, y in questions)
    assert machine.queries == 3 * runs * len(questions)


@pytest.mark.statement("vafa-calculator")
@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("delta", [0.05, 0.1, 0.2])
@pytest.mark.parametrize("offset", [None, 1])
def test_one_run_of_the_worst_case_corrector_is_right_with_1_minus_2_delta_wherever_the_errors_are(pattern, delta, offset):
    modulus, x, y, trials = 40, 17, 33, 1000
    machine = Calculator(faulty_sums(modulus, delta, pattern, generator(3), x, y, offset))
    g = generator(11)
    right = sum(correct_sum_worst_case(machine, x, y, modulus, 1, g) == (x + y) % modulus for _ in range(trials))
    assert at_least(right, trials, 1 - 2 * delta)
    assert machine.queries == 2 * trials


@pytest.mark.statement("vafa-calculator")
@pytest.mark.parametrize("pattern", WORST)
def test_the_exact_success_of_a_run_is_at_least_1_minus_2_delta_at_every_question(pattern):
    modulus, delta = 15, 0.2
    table = faulty_sums(modulus, delta, pattern, generator(1), 4, 9).numpy()
    a, b = np.meshgrid(range(modulus), range(modulus), indexing="ij")
    for x in range(modulus):
        for y in range(modulus):
            answers = (table[a, b] + table[(x - a) % modulus, (y - b) % modulus]) % modulus
            share = (answers == (x + y) % modulus).mean()
            assert share >= 1 - 2 * delta
            if (x, y) in ((4, 9), (0, 0)):  # and the function has this share
                g = generator(x)
                machine = Calculator(torch.tensor(table))
                right = sum(correct_sum_worst_case(machine, x, y, modulus, 1, g) == (x + y) % modulus for _ in range(1000))
                assert min(binom.cdf(right, 1000, share), binom.sf(right - 1, 1000, share)) > CHANCE / 2


@pytest.mark.statement("vafa-calculator")
def test_the_first_corrector_fails_on_a_bad_row_or_sum_and_the_slide_on_a_bad_sum():
    modulus, x, y = 97, 20, 50
    rows = Calculator(faulty_sums(modulus, 0.02, "rows", generator(), x, y, offset=1))
    assert correct_sum(rows, x, y, modulus, 101, generator()) == (x + y + 1) % modulus
    assert correct_sum_worst_case(rows, x, y, modulus, 101, generator()) == x + y
    diagonals = Calculator(faulty_sums(modulus, 0.02, "diagonals", generator(), x, y, offset=1))
    assert correct_sum(diagonals, x, y, modulus, 101, generator()) == x + y + 1  # its last call always has that sum
    r = torch.randint(modulus, (101,), generator=generator())
    assert (diagonals((x + r) % modulus, (y - r) % modulus) == x + y + 1).all()
    assert correct_sum_worst_case(diagonals, x, y, modulus, 101, generator()) == x + y
    # a run of the worst-case corrector errs with at most .04: of 101, 51 with probability 1e-41


@pytest.mark.statement("vafa-calculator")
def test_failure_falls_with_the_runs_at_least_as_fast_as_hoeffding_says():
    modulus, delta, x, y, trials = 50, 0.1, 3, 4, 1000
    machine = Calculator(faulty_sums(modulus, delta, "boxes", generator(), x, y, offset=1))
    g = generator(8)
    for runs in (1, 9, 25):
        wrong = sum(correct_sum_worst_case(machine, x, y, modulus, runs, g) != x + y for _ in range(trials))
        bound = 2 * delta if runs == 1 else math.exp(-2 * runs * (0.5 - 2 * delta) ** 2)
        assert binom.sf(wrong - 1, trials, bound) > CHANCE


@pytest.mark.statement("vafa-calculator")
def test_queries_of_the_worst_case_corrector_are_uniform_pairs_whatever_is_asked():
    modulus, runs = 8, 20_000
    for x, y in [(0, 0), (7, 3)]:
        P = Recorder(modulus)
        correct_sum_worst_case(P, x, y, modulus, runs, generator(x))
        assert sum(len(a) for a, _ in P.calls) == 2 * runs
        for a, b in P.calls:
            assert uniform(a * modulus + b, modulus**2)


@pytest.mark.statement("vafa-calculator")
def test_the_first_corrector_asks_x_and_u_then_y_and_minus_u_with_fresh_uniform_u():
    modulus, runs, x, y = 16, 20_000, 5, 9
    P = Recorder(modulus)
    correct_sum(P, x, y, modulus, runs, generator(1))
    rows = torch.cat([torch.stack(call, dim=1) for call in P.calls])
    assert len(rows) == 3 * runs
    (first, u), (second, minus_u), (third, fourth) = P.calls
    assert (first == x).all()
    assert (second == y).all()
    assert ((u + minus_u) % modulus == 0).all()
    assert uniform(u, modulus)
    assert torch.equal(third, (x + u) % modulus)
    assert torch.equal(fourth, (y - u) % modulus)
    assert uniform(u[::2] // 4 * 4 + u[1::2] // 4, 16)  # two runs share nothing


@pytest.mark.parametrize("corrector", [correct_sum, correct_sum_worst_case])
def test_answers_out_of_range_are_taken_modulo_n(corrector):
    asked = []

    def P(a, b):
        asked.append((a, b))
        assert min(a.min(), b.min()) >= 0
        assert max(a.max(), b.max()) < 10
        return a + b - 50

    assert corrector(P, 7, 8, 10, 20, generator()) == 5
    assert len(asked) > 0


@pytest.mark.parametrize("corrector", [correct_sum, correct_sum_worst_case])
def test_equal_states_give_equal_answers_and_global_randomness_is_left_alone(corrector):
    machine = Calculator(faulty_sums(30, 0.4, "random", generator(4)))
    before = torch.get_rng_state()
    assert corrector(machine, 3, 4, 30, 3, generator(9)) == corrector(machine, 3, 4, 30, 3, generator(9))
    assert torch.equal(before, torch.get_rng_state())


# the same trick


@pytest.mark.statement("vafa-calculator")
def test_linear_maps_are_corrected_wherever_the_errors_are():
    modulus, delta, trials = 101, 0.1, 1000
    A = torch.randint(modulus, (3, 5), generator=generator(1))
    x = torch.tensor([100, 0, 5, 77, 13])
    expected = np.array([[int(a) * int(b) for a, b in zip(row, x, strict=True)] for row in A]).sum(axis=1) % modulus
    asked = []

    def P(batch):  # wrong where the first coordinate lies in 10 of 101 values, among them that of x
        asked.append(len(batch))
        wrong = (batch[:, 0] > 90) | (batch == x).all(dim=1)
        return (batch @ A.T + wrong[:, None].long()) % modulus

    assert (P(x[None])[0].numpy() != expected).any()
    g = generator(2)
    asked.clear()
    right = sum((correct_linear(P, x, modulus, 1, g).numpy() == expected).all() for _ in range(trials))
    assert at_least(right, trials, 1 - 2 * delta)
    assert sum(asked) == 2 * trials
    assert (correct_linear(P, x, modulus, 151, g).numpy() == expected).all()  # but with probability exp(-2 * 151 * .3^2) = 2e-12


@pytest.mark.statement("vafa-calculator")
def test_matrix_products_are_corrected_wherever_the_errors_are():
    modulus, delta, trials = 2**31 - 1, 0.08, 400
    A, B = torch.randint(modulus, (2, 3), generator=generator(1)), torch.randint(modulus, (3, 2), generator=generator(2))
    expected = [[sum(int(A[i, k]) * int(B[k, j]) for k in range(3)) % modulus for j in range(2)] for i in range(2)]
    asked = []

    def P(left, right):  # wrong wherever the corner of the first matrix is small: one pattern that no query of a fixed A would escape
        asked.append(len(left))
        exact = torch.stack([left[:, :, k, None] * right[:, k, None, :] % modulus for k in range(3)]).sum(dim=0) % modulus
        wrong = left[:, 0, 0] < delta * modulus
        return (exact + wrong[:, None, None]) % modulus

    g = generator(3)
    right = sum(correct_matrix_product(P, A, B, modulus, 1, g).tolist() == expected for _ in range(trials))
    assert at_least(right, trials, 1 - 4 * delta)
    assert sum(asked) == 4 * trials
    assert correct_matrix_product(P, A, B, modulus, 301, g).tolist() == expected  # but with probability exp(-2 * 301 * .18^2) = 4e-9


@pytest.mark.statement("vafa-calculator")
@pytest.mark.parametrize("target", ["base", "exponent"])
def test_powers_are_corrected_wherever_the_errors_are(target):
    modulus, base, exponent, delta, trials = 1009, 123, 777, 0.1, 1000
    asked = []

    def P(b, e):  # every error at bases, or at exponents, near those of the question
        asked.append(len(b))
        assert ((b >= 1) & (b < modulus) & (e >= 0) & (e < modulus - 1)).all()
        number, centre, size = (b, base, modulus - 1) if target == "base" else (e, exponent, modulus - 1)
        wrong = (number - centre).abs() < delta * size / 2
        return torch.tensor([pow(i, j, modulus) for i, j in zip(b.tolist(), e.tolist(), strict=True)]) * torch.where(wrong, 2, 1) % modulus

    assert P(torch.tensor([base]), torch.tensor([exponent])).item() != pow(base, exponent, modulus)
    asked.clear()
    g = generator(1)
    right = sum(correct_power(P, base, exponent, modulus, 1, g) == pow(base, exponent, modulus) for _ in range(trials))
    assert at_least(right, trials, 1 - 4 * delta)
    assert sum(asked) == 4 * trials
    assert correct_power(P, base, exponent, modulus, 1001, g) == pow(base, exponent, modulus)  # but with probability exp(-2 * 1001 * .1^2) = 2e-9


@pytest.mark.statement("vafa-calculator")
def test_the_four_queries_of_a_power_are_uniform_and_its_exponent_may_be_huge():
    modulus, runs = 11, 20_000
    calls = []

    def P(b, e):
        calls.append((b - 1) * 10 + e)
        return torch.tensor([pow(i, j, modulus) for i, j in zip(b.tolist(), e.tolist(), strict=True)])

    assert correct_power(P, 7, 10**30 + 3, modulus, runs, generator(4)) == pow(7, 10**30 + 3, modulus)
    assert len(calls) == 4
    assert all(uniform(cells, 100) for cells in calls)


def test_queries_for_linear_maps_and_products_are_uniform():
    seen = []

    def linear(batch):
        seen.append(batch[:, 0] * 4 + batch[:, 1])
        return batch

    correct_linear(linear, torch.tensor([3, 1]), 4, 20_000, generator(5))

    def product(left, right):
        seen.append(left.flatten() * 4 + right.flatten())
        return left * right

    correct_matrix_product(product, torch.tensor([[2]]), torch.tensor([[3]]), 4, 20_000, generator(6))
    assert len(seen) == 6
    assert all(uniform(cells, 16) for cells in seen)


# bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: correct_sum(Recorder(5), 5, 0, 5, 1, generator()), "x must be a whole number of at least 0 and at most 4, got 5"),
        (lambda: correct_sum(Recorder(5), 0, -1, 5, 1, generator()), "y must be a whole number of at least 0 and at most 4, got -1"),
        (lambda: correct_sum(Recorder(5), 0, 1, 1, 1, generator()), "modulus must be a whole number of at least 2 and at most 2147483648, got 1"),
        (lambda: correct_sum_worst_case(Recorder(5), 0, 1, 2**40, 1, generator()), "modulus must be .* got 1099511627776"),
        (lambda: correct_sum_worst_case(Recorder(5), 0, 1, 5, 0, generator()), "runs must be a whole number of at least 1, got 0"),
        (lambda: correct_sum(Recorder(5), 0.5, 1, 5, 1, generator()), "x must be a whole number .* got 0.5"),
        (lambda: correct_linear(lambda b: b, torch.tensor([5]), 5, 1, generator()), r"x must lie in \[0, 4\], got 5 to 5"),
        (lambda: correct_linear(lambda b: b, torch.tensor([0.5]), 5, 1, generator()), "x must be int64 with 1 dimensions"),
        (lambda: correct_matrix_product(None, torch.ones(2, 3).long(), torch.ones(2, 3).long(), 5, 1, generator()), "B must have 3 rows, .* got 2"),
        (lambda: correct_power(None, 0, 3, 5, 1, generator()), "base must be a whole number of at least 1 and at most 4, got 0"),
        (lambda: correct_power(None, 1, -3, 5, 1, generator()), "exponent must be a whole number of at least 0, got -3"),
        (lambda: faulty_sums(5, 1.5, "rows", generator()), r"delta must lie in \[0, 1\], got 1.5"),
        (lambda: faulty_sums(5, 0.5, "spiral", generator()), "pattern must be one of random, rows, columns, diagonals, boxes, got 'spiral'"),
        (lambda: faulty_sums(5, 0.5, "rows", generator(), offset=0), "offset must be a whole number of at least 1 and at most 4, got 0"),
        (lambda: Calculator(torch.zeros(2, 3, dtype=torch.int64)), "table must be a square int64 tensor"),
        (lambda: Calculator(torch.zeros(3, 3, dtype=torch.int64))(torch.tensor([0]), torch.tensor([3])), r"y must lie in \[0, 2\], got 3 to 3"),
        (lambda: Calculator(torch.zeros(3, 3, dtype=torch.int64))(torch.tensor([0, 1]), torch.tensor([2])), r"y must be int64 of shape \[b\]"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()

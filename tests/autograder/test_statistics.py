"""Each test against sums over all outcomes; that p-values are super-uniform at sizes too large for that stands in test_super_uniformity.py."""

import math
from fractions import Fraction
from itertools import accumulate, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.statistics import (
    binomial_at_least,
    binomial_at_most,
    binomial_law,
    binomial_power,
    dkw,
    dkw_power,
    sequential_at_least,
    sequential_at_most,
    sequential_power,
)


def tail(trials, p, wanted):
    """Pr[Binomial in wanted], by summing over all outcomes of the trials."""
    return sum(math.prod(p if bit else 1 - p for bit in bits) for bits in product((0, 1), repeat=trials) if wanted(sum(bits)))


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_binomial_p_values_are_sums_over_all_outcomes(p):
    for k in range(8):
        assert binomial_at_least(k, 7, p).p_value == pytest.approx(tail(7, p, lambda s, k=k: s <= k), abs=1e-12)
        assert binomial_at_most(k, 7, p).p_value == pytest.approx(tail(7, p, lambda s, k=k: s >= k), abs=1e-12)


@pytest.mark.parametrize("share", [1e-8, 1e-3, 0.2])
def test_a_correct_answer_is_rejected_with_probability_at_most_its_share(share):
    from scipy.stats import binom

    for n, p in ((20, 0.9), (300, 2 / 3), (2000, 0.95)):
        rejected = [k for k in range(n + 1) if not binomial_at_least(k, n, p, share).passed]
        assert sum(binom.pmf(rejected, n, p)) <= share
        rejected = [k for k in range(n + 1) if not binomial_at_most(k, n, p, share).passed]
        assert sum(binom.pmf(rejected, n, p)) <= share


def test_a_p_value_at_the_share_rejects():
    assert not binomial_at_least(0, 3, 0.5, 0.125).passed  # Pr[Binomial(3, 1/2) <= 0] = 1/8
    assert binomial_at_least(0, 3, 0.5, 0.125 * (1 - 1e-9)).passed


def test_the_curriculum_s_thresholds():
    for trials, p, least in ((20, 0.9, 8), (300, 2 / 3, 153), (2000, 0.95, 1841)):
        assert binomial_at_least(least, trials, p).passed
        assert not binomial_at_least(least - 1, trials, p).passed
    assert binomial_at_most(159, 2000, 0.05).passed
    assert not binomial_at_most(160, 2000, 0.05).passed


@settings(deadline=None, max_examples=100, derandomize=True)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=8))
def test_the_distance_is_the_supremum_over_all_thresholds(values):
    def cdf(t):  # jumps at 0 and 1, slope between -2 and 0
        t = np.asarray(t, dtype=float)
        return np.where(t < -2, 0, np.where(t < 0, (t + 2) / 8, np.where(t < 1, 0.5, 1.0)))

    grid = np.unique(np.concatenate([np.linspace(-4, 4, 801), np.nextafter(np.arange(-4, 5.0), -10)]))
    brute = max(abs(np.mean(np.array(values) <= t) - float(cdf(t))) for t in grid)
    assert dkw(values, cdf).statistic == pytest.approx(brute, abs=1e-2)
    assert dkw(values, cdf).statistic >= brute - 1e-12


def test_the_dkw_threshold_is_massart_s():
    for n, share in ((4000, 1e-8), (20_000, 1e-8)):
        limit = math.sqrt(math.log(2 / share) / (2 * n))
        uniform = (np.arange(n) + 0.5) / n
        assert dkw(np.clip(uniform + limit - 1e-3, 0, 2), lambda t: np.clip(t, 0, 1), share).passed
        assert not dkw(uniform + limit + 1e-3, lambda t: np.clip(t, 0, 1), share).passed


def test_binomial_counts_obey_their_law_and_others_do_not():
    rng = np.random.default_rng(1)  # false fail of each assertion: 1e-8
    assert binomial_law(rng.binomial(50, 0.3, 4000), 50, 0.3).passed
    assert not binomial_law(rng.binomial(50, 0.36, 4000), 50, 0.3).passed


# sequential tests: p = 1/4 against 1/2, so that a success doubles the capital and a failure takes a third of it

PATHS = list(product((False, True), repeat=9))


def capitals(path):
    """What a bet of 1 on an alternative of 1/2 against 1/4 is worth after each observation."""
    return list(accumulate((Fraction(2) if success else Fraction(2, 3) for success in path), lambda capital, factor: capital * factor))


def law(path, chance):
    """Probability of the path, where `chance` gives the probability of success after what came before."""
    return math.prod(chance(path[:i]) if success else 1 - chance(path[:i]) for i, success in enumerate(path))


def test_the_sequential_p_value_is_one_over_the_largest_capital():
    for path in PATHS:
        found = sequential_at_most(iter(path), 0.25, 0.5, share=1e-8, miss=1e-8)
        assert found.p_value == pytest.approx(float(1 / max(1, *capitals(path))), rel=1e-12)
        assert (found.trials, found.statistic) == (9, sum(path) / 9)
        assert sequential_at_least(iter(path), 0.75, 0.5, share=1e-8, miss=1e-8).statistic == pytest.approx(sum(path) / 9)


@pytest.mark.parametrize(
    "chance",
    [lambda past: 0.25, lambda past: 0.1, lambda past: 0.25 if sum(past) % 2 else 0.0, lambda past: 0.25 * (len(past) % 3 == 0)],
    ids=["p", "less", "by what came before", "by time"],
)
@pytest.mark.parametrize(
    "rule", [len, lambda past: 9 if sum(past) > 2 else len(past) * 2, lambda past: 9 if past[-1:] == (True,) else 0], ids=["all", "ahead", "success"]
)
def test_sequential_p_values_are_super_uniform_whenever_one_stops(chance, rule):
    def stopped(path):  # the observations end where the rule reaches 9
        for i, success in enumerate(path):
            yield success
            if rule(path[: i + 1]) >= 9:
                return

    found = [(sequential_at_most(stopped(path), 0.25, 0.5, share=0.05, miss=0.2).p_value, law(path, chance)) for path in PATHS]
    mirrored = [(sequential_at_least((not one for one in stopped(path)), 0.75, 0.5, share=0.05, miss=0.2).p_value, law(path, chance)) for path in PATHS]
    np.testing.assert_allclose(mirrored, found, rtol=1e-12)
    for t in {p_value for p_value, _ in found}:
        assert sum(weight for p_value, weight in found if p_value <= t * (1 + 1e-9)) <= t * (1 + 1e-9)


@pytest.mark.parametrize("truth", [0.1, 0.25, 0.5, 0.8])
def test_sequential_power_is_the_sum_over_all_paths(truth):
    rejected = gave_up = used = 0
    for path in PATHS:
        decided = [t for t, capital in enumerate(capitals(path), 1) if capital >= 16 or capital <= Fraction(1, 5)]
        t = min(decided, default=9)  # whatever follows: the paths that begin so sum to the probability of this beginning
        capital = capitals(path)[t - 1]
        rejected += law(path, lambda _: truth) * (capital >= 16)
        gave_up += law(path, lambda _: truth) * (capital <= Fraction(1, 5))
        used += law(path, lambda _: truth) * t
    found = sequential_power(9, 0.25, 0.5, truth, share=1 / 16 * (1 + 1e-9), miss=0.2)
    assert found == pytest.approx((rejected, used))
    assert sequential_power(9, 0.75, 0.5, 1 - truth, share=1 / 16 * (1 + 1e-9), miss=0.2) == pytest.approx(found)
    assert rejected <= 1 / 16 or truth > 0.25
    assert gave_up <= 0.2 or truth < 0.5


def test_the_stated_errors_hold_at_the_sizes_that_checks_use():
    for p, alternative, most in ((0.05, 0.15, 1000), (0.3, 0.54, 1000), (0.95, 0.8, 600), (0.5, 0.51, 3000)):
        assert sequential_power(most, p, alternative, p)[0] <= 1e-8
        assert sequential_power(most, p, alternative, alternative)[0] >= 0.999 - (most == 3000)
    # A fixed number of trials that is as powerful needs more: that is what the sequential test is for.
    assert binomial_power(550, 0.05, 0.15) < 0.999
    assert sequential_power(1000, 0.05, 0.15, 0.02)[1] < 90


def test_a_sequential_test_draws_no_more_than_it_needs():
    def drawn(successes):
        for one in successes:
            asked.append(one)
            yield one

    for test, successes, passed, most in ((sequential_at_most, [True] * 99, False, 27), (sequential_at_most, [False] * 99, True, 18)):
        asked = []
        found = test(drawn(successes), 0.25, 0.5)
        assert (found.passed, found.trials, len(asked)) == (passed, most, most)


def test_power_is_the_sum_over_all_outcomes():
    assert binomial_power(7, 0.9, 0.5, 0.05) == pytest.approx(tail(7, 0.5, lambda s: tail(7, 0.9, lambda k: k <= s) <= 0.05))
    assert binomial_power(7, 0.2, 0.6, 0.05) == pytest.approx(tail(7, 0.6, lambda s: tail(7, 0.2, lambda k: k >= s) <= 0.05))
    samples = [[0] * k + [1] * (20 - k) for k in range(21)]  # a law on two points: the test rejects by the number of zeros
    rejected = [k for k in range(21) if not dkw(samples[k], lambda t: np.where(t < 0, 0, np.where(t < 1, 0.25, 1.0)), 0.1).passed]
    moved = [k for k in range(21) if not dkw(samples[k], lambda t: np.where(t < 0, 0, np.where(t < 1, 0.25, 1.0)), 0.1, shift=0.12).passed]
    assert dkw_power(20, 0.25, 0.6, 0.1, 0.12) == pytest.approx(sum(math.comb(20, k) * 0.6**k * 0.4 ** (20 - k) for k in moved))
    assert dkw_power(20, 0.25, 0.6, 0.1) == pytest.approx(sum(math.comb(20, k) * 0.6**k * 0.4 ** (20 - k) for k in rejected))


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: sequential_at_most([True], 0.5, 0.5), "0 < p < alternative < 1, got p = 0.5 and alternative = 0.5"),
        (lambda: sequential_at_least([True], 0.5, 0.6), "0 < alternative < p < 1, got alternative = 0.6 and p = 0.5"),
        (lambda: sequential_at_most([True], 0.5, 0.6, miss=0), r"miss must lie in \(0, 1\), got 0"),
        (lambda: sequential_at_most([], 0.5, 0.6), "at least one, got none"),
        (lambda: sequential_power(5, 0.5, 0.5, 0.5), "must differ"),
        (lambda: binomial_at_least(5, 4, 0.5), "successes must lie in"),
        (lambda: binomial_at_least(5, 0, 0.5), "successes must lie in"),
        (lambda: binomial_at_most(1, 4, 1.5), "p must lie in"),
        (lambda: binomial_at_most(1, 4, 0.5, share=0), "share must lie in"),
        (lambda: dkw([], lambda t: t), "at least one finite number"),
        (lambda: dkw([math.nan], lambda t: t), "1 not finite"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()

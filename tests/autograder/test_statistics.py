import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.statistics import binomial_at_least, binomial_at_most, binomial_law, dkw


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


@pytest.mark.parametrize(
    "call, words",
    [
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

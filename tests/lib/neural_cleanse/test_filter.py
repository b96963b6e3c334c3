import math

import pytest
import torch
from backdoors.neural_cleanse.features import penultimate
from backdoors.neural_cleanse.filter import filter_misses, filter_scores, filter_threshold
from backdoors.neural_cleanse.prune import backdoor_units, top_units
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binom, kstest


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.statement("nc-filter")
@given(st.lists(st.integers(-5, 5), min_size=1, max_size=40), st.integers(1, 99))
def test_the_threshold_is_the_smallest_score_that_few_enough_exceed(scores, percent):
    """Few enough: of the scores and one more that exceeds all, at most the promised share."""
    promise = percent / 100
    fits = [t for t in [*scores, math.inf] if sum(score > t for score in scores) + 1 <= promise * (len(scores) + 1)]
    assert filter_threshold(torch.tensor(scores, dtype=torch.float64), promise) == (min(fits) if fits else math.inf)


@pytest.mark.statement("nc-filter")
@pytest.mark.parametrize(("n", "promise"), [(19, 0.05), (50, 0.1), (7, 0.1)])
def test_the_false_positive_rate_over_calibration_sets_is_the_beta_law_s(n, promise):
    """Uniform scores: the rate is 1 - threshold. The test of Kolmogorov and the binomial bound are wrong with probability 1e-6 each."""
    scores = torch.rand(1000, n, generator=generator(), dtype=torch.float64)
    thresholds = torch.tensor([filter_threshold(row, promise) for row in scores])
    a = math.floor(promise * (n + 1))
    if a == 0:
        assert bool((thresholds == math.inf).all())
        return
    assert kstest(1 - thresholds.numpy(), beta(a, n + 1 - a).cdf).pvalue > 1e-6
    fresh = torch.rand(1000, generator=generator(1), dtype=torch.float64)
    assert (fresh > thresholds).sum() <= binom.isf(1e-6, 1000, promise)


@pytest.mark.statement("nc-filter")
def test_stamped_digits_are_caught_and_clean_ones_pass(digits, infected, found, trigger):
    """The units come from one part of the data, the threshold from another, the rates from a third; the trigger is the planted one."""
    x = digits.train.images
    units = top_units(backdoor_units(penultimate(infected, x[:300]), penultimate(infected, found.infected.reversed.trigger(7).stamp(x[:300]))), 0.05)
    clean, fresh = (filter_scores(penultimate(infected, images), units) for images in (x[300:900], digits.test.images))
    stamped = filter_scores(penultimate(infected, trigger.stamp(digits.test.images)), units)
    misses = filter_misses(clean, stamped, torch.tensor([0.05, 0.2]))
    assert misses[0] < 0.1
    assert misses[1] <= misses[0]
    assert (fresh > filter_threshold(clean, 0.05)).double().mean() < 0.12


@pytest.mark.statement("nc-filter")
def test_misses_are_the_stamped_scores_at_or_below_each_threshold():
    clean, stamped = torch.arange(1.0, 20), torch.tensor([5.0, 19.0, 18.0, 30.0])
    misses = filter_misses(clean, stamped, torch.tensor([0.05, 0.1, 0.01]))
    assert misses.tolist() == [0.75, 0.5, 1.0]


def test_scores_are_means_over_the_units():
    features = torch.tensor([[1.0, 2, 3], [4, 5, 9]])
    assert filter_scores(features, torch.tensor([2, 0])).tolist() == [2, 6.5]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: filter_threshold(torch.ones(0), 0.1), r"clean_scores must be finite \(n,\), one at least"),
        (lambda: filter_threshold(torch.tensor([1.0, math.nan]), 0.1), "clean_scores must be finite"),
        (lambda: filter_threshold(torch.ones(5), 0.0), r"false_positive must lie in \(0, 1\), got 0.0"),
        (lambda: filter_misses(torch.ones(5), torch.ones(0), torch.tensor([0.5])), r"stamped_scores must be finite \(m,\), one at least"),
        (lambda: filter_scores(torch.ones(2, 3), torch.tensor([3])), r"units must be numbers of columns of the features, \(2, 3\), .* got \[3\]"),
        (lambda: filter_misses(torch.ones(5), torch.tensor([math.nan]), torch.tensor([0.5])), r"stamped_scores must be finite \(m,\)"),
        (lambda: filter_scores(torch.full((2, 3), math.nan), torch.tensor([1])), r"features must be finite activations \[n, u\]"),
        (lambda: filter_scores(torch.ones(2, 3), torch.tensor([True])), "units must be numbers of columns"),
        (lambda: filter_scores(torch.ones(2, 3), torch.zeros(0, dtype=torch.int64)), "units must be numbers of columns"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()

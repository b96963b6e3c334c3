import numpy as np
import pytest
import torch
from backdoors.neural_cleanse.outliers import anomaly_index, calibrated_threshold, compare_with_clean, judge_norms, screen
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, median_abs_deviation

TEN = [10, 11, 12, 10.5, 11.5, 9.8, 12.2, 11.1, 10.9, 2.0]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.statement("nc-detect")
def test_of_the_ten_norms_of_the_text_only_the_last_is_too_small():
    verdict = judge_norms(torch.tensor(TEN))
    assert verdict.infected == (9,)
    assert verdict.index[9] == pytest.approx((10.95 - 2) / (1.4826 * 0.75))
    assert verdict.index[[1, 2, 4, 6, 7]].tolist() == [0] * 5
    assert judge_norms(torch.tensor(TEN), labels=torch.arange(10) + 30).infected == (39,)


@pytest.mark.statement("nc-detect")
@given(st.lists(st.floats(0, 1e6), min_size=3, max_size=60))
def test_the_index_is_scipy_s_deviation_on_the_low_side(norms):
    spread = median_abs_deviation(norms, scale=1) * 1.4826
    if spread < 1e-100:
        return
    expected = np.maximum(0, np.median(norms) - np.array(norms)) / spread
    np.testing.assert_allclose(anomaly_index(torch.tensor(norms, dtype=torch.float64)).numpy(), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.statement("nc-detect")
def test_the_most_suspicious_label_comes_first_and_none_may_be_infected():
    assert judge_norms(torch.tensor([10.0, 3, 11, 2, 12, 10.5, 9.5, 11.5, 12.5])).infected == (3, 1)
    assert judge_norms(torch.tensor(TEN), threshold=9).infected == ()


@pytest.mark.statement("nc-detect")
def test_a_calibrated_threshold_keeps_its_promise_and_two_does_not():
    """Suspects with 9 clean models each: accused with probability 0.3 exactly, as indices do not tie. Each bound is wrong with probability 1e-6 at most."""
    norms = 100 + torch.randn(120, 10, 10, generator=generator(), dtype=torch.float64).exp()  # not normal
    accused = sum(bool(judge_norms(models[0], calibrated_threshold(models[1:], 0.3)).infected) for models in norms)
    assert binom.ppf(1e-6, 120, 0.3) <= accused <= binom.isf(1e-6, 120, 0.3)
    normal = 100 + torch.randn(400, 10, generator=generator(1), dtype=torch.float64)
    by_two = sum(bool(judge_norms(model).infected) for model in normal)
    assert binom.isf(1e-6, 400, 0.05) < by_two  # "95%" is not a model's: it is a third


@pytest.mark.statement("nc-detect")
def test_the_comparison_with_clean_models_is_uniform_for_a_clean_suspect():
    """p-values of a clean suspect among 9 others are uniform on 0.1, ..., 1; each bound is wrong with probability 1e-6."""
    easy = torch.tensor([1.0, 5, 3, 9, 7, 2, 20, 4])  # labels differ in all models
    norms = easy * (1 + 0.2 * torch.rand(100, 10, 8, generator=generator()))
    values = torch.tensor([compare_with_clean(models[0], models[1:]).p_value for models in norms])
    for p in (0.1, 0.3, 0.5):
        assert binom.ppf(1e-6, 100, p) <= (values <= p + 1e-9).sum() <= binom.isf(1e-6, 100, p)


@pytest.mark.statement("nc-detect")
def test_a_label_that_is_easy_in_all_models_is_no_cause_for_suspicion():
    easy = torch.tensor([1.0, 50, 53, 49, 47, 52, 20, 54])
    clean = easy * (1 + 0.1 * torch.rand(9, 8, generator=generator()))
    suspect = easy * torch.tensor([1, 1, 1.02, 1, 1.04, 1, 0.3, 1])  # 6 in place of 20: not the smallest
    comparison = compare_with_clean(suspect, clean)
    assert judge_norms(suspect).infected[0] == 0
    usual = np.median(torch.cat([suspect[None], clean]).numpy(), axis=0)
    np.testing.assert_allclose(comparison.ratios.numpy(), suspect.numpy() / usual, rtol=1e-6)
    assert comparison.ratios.argmin() == 6
    assert comparison.p_value == pytest.approx(0.1)
    assert compare_with_clean(clean[0], clean[1:]).ratios.min() > 0.8


@pytest.mark.statement("nc-many-labels")
def test_screening_ends_at_the_first_step_that_agrees_with_the_one_before():
    norms = torch.tensor([[1.0, 2, 3, 4, 5, 6], [4, 5, 6, 1, 2, 3], [4, 1, 5, 2, 6, 3], [1, 2, 3, 4, 5, 6]])
    assert screen(norms[:1], 3, 1).tolist() == list(range(6))  # one step agrees with nothing
    assert screen(norms[:2], 3, 1).tolist() == list(range(6))  # {0, 1, 2}, {3, 4, 5}
    assert screen(norms, 3, 1).tolist() == [1, 3, 5]  # two in common with {3, 4, 5}
    assert screen(norms, 3, 2).tolist() == list(range(6))
    assert screen(norms[1:], 3, 1).tolist() == [1, 3, 5]
    assert sorted(screen(norms, 6, 3).tolist()) == list(range(6))


@given(st.integers(1, 8), st.data())
@pytest.mark.statement("nc-many-labels")
def test_screening_is_the_loop_over_sets(labels, data):
    keep = data.draw(st.integers(1, labels + 2))
    overlap = data.draw(st.integers(0, keep - 1))
    norms = [data.draw(st.permutations(range(labels))) for _ in range(data.draw(st.integers(1, 6)))]
    smallest = [[label for _, label in sorted(zip(row, range(labels), strict=True))][:keep] for row in norms]
    expected = next((now for before, now in zip(smallest, smallest[1:], strict=False) if len(set(now) & set(before)) > overlap), list(range(labels)))
    assert screen(torch.tensor(norms, dtype=torch.float32), keep, overlap).tolist() == expected


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: anomaly_index(torch.tensor([1.0, 2])), "cannot tell: norms must be of three labels at least, got 2"),
        (lambda: anomaly_index(torch.tensor([4.0, 4, 4, 4, 1, 9])), "cannot tell: half of the norms"),
        (lambda: anomaly_index(torch.tensor([392.0, 392.0001, 391.9999, 392.0002, 391.999])), "cannot tell: half of the norms at least are equal"),
        (lambda: anomaly_index(torch.tensor([1.0, float("nan"), 2])), r"norms must be finite and at least 0, got \[nan\]"),
        (lambda: anomaly_index(torch.tensor([1.0, -3.0, 2])), r"norms must be finite and at least 0, got \[-3.0\]"),
        (lambda: anomaly_index(torch.ones(2, 3)), r"norms must be a floating-point tensor \(L,\), got \(2, 3\)"),
        (lambda: anomaly_index([1.0, 2.0, 3.0]), "norms must be a floating-point tensor"),
        (lambda: judge_norms(torch.tensor(TEN), 0.0), "threshold must be above 0, got 0.0"),
        (lambda: judge_norms(torch.tensor(TEN), labels=torch.arange(9)), r"labels must have the shape \(10,\)"),
        (lambda: calibrated_threshold(torch.rand(8, 10), 0.1), "false_positive must be at least 1 / .* with 8 models, got 0.1"),
        (lambda: calibrated_threshold(torch.rand(10), 0.1), r"clean_norms must be \[models, L\]"),
        (lambda: calibrated_threshold(torch.rand(8, 10), 1.0), r"false_positive must lie in \(0, 1\), got 1.0"),
        (lambda: compare_with_clean(torch.rand(10), torch.rand(3, 9)), r"clean_norms must be \[models, 10\]"),
        (lambda: compare_with_clean(torch.zeros(3), torch.rand(3, 3)), "norms and clean_norms must be finite and above 0, got 0.0"),
        (lambda: compare_with_clean(torch.ones(3), torch.full((3, 3), float("inf"))), "norms and clean_norms must be finite and above 0, got inf"),
        (lambda: screen(torch.rand(3, 4), 0, 0), "keep must be a whole number of at least 1"),
        (lambda: screen(torch.rand(3, 4), 2, 2), "overlap must be below keep, 2, got 2"),
        (lambda: screen(torch.rand(0, 4), 2, 1), r"norms_by_step must be finite \[t, L\]"),
    ],
)
def test_what_cannot_be_told_is_said(call, message):
    with pytest.raises(ValueError, match=message):
        call()

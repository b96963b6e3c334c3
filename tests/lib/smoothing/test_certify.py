"""The exercises against closed forms: what can be said without chance. What holds only with high probability is in test_promises.py."""

from fractions import Fraction
from math import comb, inf, nan, sqrt

import pytest
import torch
from backdoors.smoothing.certify import (
    ABSTAIN,
    Certificate,
    certified_accuracy,
    certified_radius,
    certify,
    certify_all,
    count_votes,
    fooled_model,
    lower_confidence_bound,
    max_radius,
    predict,
    worst_halfspace,
)
from backdoors.smoothing.noise import grid_cost
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf
from scipy.stats import binom
from torch.nn.functional import one_hot

NOISES = ["sound", "gaussian"]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def tail(successes, trials, p):
    """Pr[Bin(trials, p) >= successes], exactly, for a fraction p."""
    return sum(comb(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(successes, trials + 1))


def scripted(labels, classes=2):
    """A model that answers the labels in their order, whatever it is asked, and remembers how many rows each call had."""
    remaining = list(labels)

    def model(batch):
        model.calls.append(len(batch))
        answers, remaining[: len(batch)] = remaining[: len(batch)], []
        return one_hot(torch.tensor(answers), classes).float()

    model.calls = []
    return model


# lower_confidence_bound


@pytest.mark.statement("cohen-certify")
@given(st.integers(1, 40), st.data(), st.sampled_from([0.001, 0.05, 0.3]))
@settings(deadline=None, max_examples=60, derandomize=True)
def test_the_bound_is_where_so_many_successes_have_probability_alpha(trials, data, alpha):
    successes = data.draw(st.integers(1, trials))
    bound = lower_confidence_bound(successes, trials, alpha)
    low, high = Fraction(bound) * Fraction(1 - 1e-10), Fraction(bound) * Fraction(1 + 1e-10)
    assert tail(successes, trials, low) < Fraction(alpha) < tail(successes, trials, high)


@pytest.mark.statement("cohen-certify")
@pytest.mark.parametrize(("trials", "alpha"), [(1, 0.05), (7, 0.3), (30, 0.001), (100, 0.05)])
def test_the_bound_covers_every_probability(trials, alpha):
    bounds = [lower_confidence_bound(k, trials, alpha) for k in range(trials + 1)]
    for p in [k / 200 for k in range(201)] + [bound - 1e-9 for bound in bounds if bound > 0]:
        wrong = sum(binom.pmf(k, trials, p) for k, bound in enumerate(bounds) if bound > p)
        assert wrong <= alpha * (1 + 1e-9)


@pytest.mark.statement("cohen-certify")
def test_the_bound_is_zero_without_successes_and_below_one_with_all():
    assert lower_confidence_bound(0, 10, 0.05) == 0
    assert lower_confidence_bound(100_000, 100_000, 0.001) == pytest.approx(0.001 ** (1 / 100_000), rel=1e-12)


# count_votes


@pytest.mark.statement("cohen-certify")
@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize(("n", "batch_size", "calls"), [(10, 4, [4, 4, 2]), (8, 4, [4, 4]), (3, 1000, [3]), (3, 1, [1, 1, 1])])
def test_the_model_sees_n_rows_and_never_more_at_once_than_batch_size(noise, n, batch_size, calls):
    model = scripted([2] * n, classes=3)
    votes = count_votes(model, torch.zeros(1, 2, 2), 0.5, n, batch_size, generator(), noise)
    assert votes.tolist() == [0, 0, n]
    assert votes.dtype == torch.int64
    assert model.calls == calls


@pytest.mark.parametrize("noise", NOISES)
def test_votes_depend_on_the_generator_alone(noise, digits, digits_mlp):
    x = digits.test.images[0]
    kept, state = x.clone(), torch.get_rng_state()
    seeds = generator(1), generator(1), generator(2)
    votes = [count_votes(digits_mlp, x, 1.0, 1000, 300, seed, noise) for seed in seeds]
    assert torch.equal(votes[0], votes[1])
    assert not torch.equal(votes[0], votes[2])
    assert not torch.equal(votes[0], count_votes(digits_mlp, x, 1.0, 1000, 300, seeds[0], noise))
    assert torch.equal(x, kept)
    assert torch.equal(torch.get_rng_state(), state)


def test_images_and_vectors_and_double_precision_are_taken():
    for shape in [(5,), (1, 4, 4), (3, 2, 2)]:
        for dtype in (torch.float32, torch.float64):
            seen = []

            def model(batch, seen=seen):
                seen.append((tuple(batch.shape[1:]), batch.dtype))
                return batch.flatten(1)[:, :2]

            for noise in NOISES:
                count_votes(model, torch.zeros(shape, dtype=dtype), 0.5, 3, 2, generator(), noise)
            assert set(seen) == {(shape, dtype)}


# certified_radius


@pytest.mark.statement("cohen-thm-1")
@given(st.floats(0.500001, 1 - 1e-9), st.floats(0.01, 10))
@settings(deadline=None, derandomize=True)
def test_the_radius_is_the_distance_to_the_halfspace(p, sigma):
    radius = certified_radius(p, sigma)
    # a halfspace with probability p at x lies at the distance r with Phi(r / sigma) = p; checked through erf, by the slope's bound
    assert 0.5 * (1 + erf(radius * (1 - 1e-6) / sigma / sqrt(2))) <= p <= 0.5 * (1 + erf(radius * (1 + 1e-6) / sigma / sqrt(2))) + 1e-15


@pytest.mark.statement("cohen-thm-1")
@pytest.mark.parametrize(("p_lower", "p_upper"), [(0.5, None), (0.3, None), (0.0, None), (0.4, 0.4), (0.2, 0.6), (0.7, 1.0)])
def test_the_radius_is_zero_from_the_coin_flip_down(p_lower, p_upper):
    assert certified_radius(p_lower, 2.0, p_upper) == 0


@pytest.mark.statement("cohen-thm-1")
@pytest.mark.parametrize(("near", "far"), [(1.0, 2.0), (0.3, 1.7), (-0.2, 0.9)])
def test_the_radius_of_two_bounds_is_where_two_parallel_halfspaces_meet(near, far):
    # class A is z <= near, class B is z > far: moved by R, both have the same probability
    sigma = 0.7

    def cdf(z):
        return 0.5 * (1 + erf(z / sigma / sqrt(2)))

    radius = certified_radius(cdf(near), sigma, 1 - cdf(far))
    assert radius == pytest.approx((near + far) / 2, rel=1e-9)
    assert cdf(near - radius) == pytest.approx(1 - cdf(far - radius), rel=1e-9)


# predict and certify on given votes


@pytest.mark.statement("cohen-certify")
@pytest.mark.parametrize(("n", "alpha", "needed"), [(100, 0.001, 67), (10, 0.05, 9), (5, 0.05, None)])
def test_predict_answers_from_so_many_votes_on(n, alpha, needed):
    for top in range((n + 1) // 2 + 1, n + 1):
        p_value = min(1, 2 * tail(top, n, Fraction(1, 2)))  # two-sided, of a symmetric law
        answer = predict(scripted([1] * top + [0] * (n - top)), torch.zeros(2), 1.0, n, alpha, generator(), batch_size=7)
        assert answer == (1 if p_value <= alpha else ABSTAIN)
        assert answer == (1 if needed is not None and top >= needed else ABSTAIN)


@pytest.mark.statement("cohen-certify")
def test_predict_compares_the_two_classes_with_most_votes_only():
    votes = [2] * 30 + [0] * 8 + [1] * 5 + [3] * 57
    assert predict(scripted(votes, 4), torch.zeros(2), 1.0, 100, 0.01, generator()) == 3
    assert min(1, 2 * tail(57, 87, Fraction(1, 2))) < 0.01 < min(1, 2 * tail(57, 100, Fraction(1, 2)))
    assert predict(scripted([0] * 50 + [1] * 50), torch.zeros(2), 1.0, 100, 0.999, generator()) == ABSTAIN


@pytest.mark.statement("cohen-certify")
@pytest.mark.parametrize("noise", NOISES)
def test_certify_guesses_from_n0_and_bounds_from_n_fresh_ones(noise):
    model = scripted([1] * 6 + [0] * 4 + [0] * 30 + [1] * 170, classes=3)
    certificate = certify(model, torch.zeros(4), 0.5, 10, 200, 0.01, generator(), noise, batch_size=64)
    assert model.calls == [10, 64, 64, 64, 8]
    low, high = Fraction(certificate.p_lower) * Fraction(1 - 1e-8), Fraction(certificate.p_lower) * Fraction(1 + 1e-8)
    assert tail(170, 200, low) < Fraction(0.01) < tail(170, 200, high)
    assert certificate == Certificate(1, certified_radius(certificate.p_lower, 0.5), certificate.p_lower, noise)


@pytest.mark.statement("cohen-certify")
def test_certify_abstains_when_fresh_samples_do_not_confirm_the_guess():
    certificate = certify(scripted([1] * 10 + [0] * 100), torch.zeros(4), 0.5, 10, 100, 0.01, generator())
    assert certificate == Certificate(ABSTAIN, 0.0, 0.0, "sound")


@pytest.mark.statement("cohen-certify")
def test_certify_abstains_up_to_the_coin_flip():
    # of 100 samples at alpha = 0.001, 66 are the fewest that put the bound above one half
    for successes, label in [(65, ABSTAIN), (66, 1)]:
        assert (tail(successes, 100, Fraction(1, 2)) < Fraction(0.001)) == (label != ABSTAIN)
        certificate = certify(scripted([1] * 10 + [1] * successes + [0] * (100 - successes)), torch.zeros(4), 0.5, 10, 100, 0.001, generator())
        assert certificate.label == label
        assert (certificate.radius > 0) == (label != ABSTAIN)


@pytest.mark.statement("cohen-certify")
@pytest.mark.parametrize(("n", "ceiling"), [(100, 1.500), (1000, 2.463), (10_000, 3.199), (100_000, 3.811)])
def test_no_certificate_passes_the_ceiling_and_full_agreement_reaches_it(n, ceiling):
    assert max_radius(2.0, n, 0.001) == pytest.approx(2 * ceiling, abs=1.1e-3)
    certificate = certify(scripted([1] * (n + 1)), torch.zeros(4), 2.0, 1, n, 0.001, generator())
    assert certificate.radius == pytest.approx(max_radius(2.0, n, 0.001), rel=1e-6)
    assert certify(scripted([1] * n + [0]), torch.zeros(4), 2.0, 1, n, 0.001, generator()).radius < certificate.radius


def test_one_sample_certifies_nothing():
    assert max_radius(1.0, 1, 0.001) == 0
    assert certify(scripted([1, 1]), torch.zeros(4), 1.0, 1, 1, 0.001, generator()).label == ABSTAIN


@pytest.mark.statement("cohen-float")
def test_sound_noise_costs_the_distance_to_the_grid():
    on_grid = torch.full((16,), 0.25)
    off_grid = on_grid + 2.0**-14  # a quarter of a step in each of 16 entries: distance 4 * 2^-14
    radii = [certify(scripted([1] * 200), x, 0.5, 100, 100, 0.01, generator(), "sound").radius for x in (on_grid, off_grid)]
    assert radii[0] - radii[1] == pytest.approx(2.0**-12, rel=1e-6)
    assert certify(scripted([1] * 200), off_grid, 0.5, 100, 100, 0.01, generator(), "gaussian").radius == pytest.approx(radii[0], rel=1e-6)


@pytest.mark.statement("cohen-float")
def test_sound_noise_costs_the_samplers_distance_from_its_law():
    certificates = [certify(scripted([1] * 200), torch.zeros(3072), 0.25, 100, 100, 0.01, generator(), noise) for noise in NOISES]
    assert certificates[0].p_lower == lower_confidence_bound(100, 100, 0.01) - grid_cost(torch.zeros(3072), 0.25, "sound")[1]
    assert certificates[0].p_lower < certificates[1].p_lower == lower_confidence_bound(100, 100, 0.01)


@pytest.mark.statement("cohen-float")
def test_certify_abstains_when_the_grid_is_further_than_the_radius():
    x = torch.full((10_000,), 0.25 + 2.0**-13)  # half a step in 10,000 entries: distance 2^-13 * 100, above the radius 0.01 * 1.7
    assert certify(scripted([1] * 200), x, 0.005, 100, 100, 0.01, generator(), "sound").label == ABSTAIN
    assert certify(scripted([1] * 200), x, 0.005, 100, 100, 0.01, generator(), "gaussian").label == 1


# worst_halfspace


@pytest.mark.statement("cohen-thm-1")
@pytest.mark.parametrize("length", [1e-30, 1e-3, 1.0, 1e30])
@pytest.mark.parametrize("p", [1e-3, 0.5, 0.8, 0.9999])
def test_the_worst_halfspace_has_p_at_x_and_a_half_at_the_radius(p, length):
    x, direction, sigma = torch.randn(1, 3, 3, generator=generator(1)), torch.randn(1, 3, 3, generator=generator(2)), 0.4
    w, b = worst_halfspace(x, direction * length, p, sigma)
    assert w.shape == x.shape
    assert w.double().norm().item() == pytest.approx(1, rel=1e-6)
    assert (w * direction).sum() == pytest.approx(direction.norm().item(), rel=1e-5)

    def probability(point):  # of <w, point + noise> <= b
        return 0.5 * (1 + erf((b - (w.double() * point.double()).sum().item()) / sigma / sqrt(2)))

    assert probability(x) == pytest.approx(p, rel=1e-5)
    distance = sigma * sqrt(2) * torch.erfinv(torch.tensor(2 * p - 1, dtype=torch.float64)).item()
    assert probability(x.double() + distance * w.double()) == pytest.approx(0.5, rel=1e-5)
    assert certified_radius(p, sigma) == pytest.approx(max(0.0, distance), rel=1e-5)


# fooled_model


def assert_fooled(model, images, x_star, sigma):
    """Equal to the model on every image, answers `label` after smoothing at x_star, and is the model again far from it."""
    label = (model(x_star[None]).argmax().item() + 1) % 10
    fooled = fooled_model(model, x_star, label, sigma)
    assert torch.equal(fooled(images), model(images))
    # the smoothed answer: chance 2^-1000 that a coin's majority misleads; measured probabilities are above .9
    assert predict(fooled, x_star, sigma, 2000, 1e-9, generator(3)) == label
    far = images[:5] + 100
    assert torch.equal(fooled(far), model(far))


@pytest.mark.statement("cohen-limits")
@pytest.mark.parametrize("sigma", [0.25, 0.5])
def test_a_model_right_on_every_image_can_fool_its_smoothing_on_digits(sigma, digits, digits_mlp):
    for x_star in digits.test.images[:5]:
        assert_fooled(digits_mlp, torch.cat([digits.train.images, digits.test.images]), x_star, sigma)


@pytest.mark.statement("cohen-limits")
@pytest.mark.parametrize("sigma", [0.25, 0.5])
def test_a_model_right_on_every_image_can_fool_its_smoothing_on_fashion(sigma, fashion):
    from backdoors.models import MLP

    assert_fooled(MLP(784, (16,), 10, generator()), fashion.test.images, fashion.test.images[0], sigma)


@pytest.mark.statement("cohen-limits")
def test_the_fooled_model_differs_only_near_x_star_and_outside_the_box(digits, digits_mlp):
    x_star, sigma = digits.test.images[0], 0.25
    fooled = fooled_model(digits_mlp, x_star, 3, sigma)
    noisy = x_star + sigma * torch.randn(20_000, 1, 8, 8, generator=generator(1))
    outside = ((noisy < 0) | (noisy > 1)).flatten(1).any(dim=1)
    wrong = (fooled(noisy) == one_hot(torch.tensor(3), 10)).all(dim=1)
    assert not (wrong & ~outside).any()
    # of the copies outside, all but 1/2000 are to be within the ball: at most 41 of 20,000 outside it but with probability 1e-9
    assert (outside & ~wrong).sum() <= binom.isf(1e-9, 20_000, 1 / 2000)
    shifted = noisy + 10 * sigma  # 80 sigma away, where hardly a ball of radius 10.4 sigma reaches
    assert torch.equal(fooled(shifted), digits_mlp(shifted))


def test_the_fooled_model_asks_the_model_once_a_batch():
    model = scripted([0] * 12)
    fooled_model(model, torch.zeros(4), 1, 0.5)(torch.zeros(12, 4))
    assert model.calls == [12]


# what is given


def test_certified_accuracy_counts_right_answers_with_a_sufficient_radius():
    pairs = [(1, 0.5), (1, 1.5), (ABSTAIN, 0.0), (2, 1.0)]
    certificates = [Certificate(label, radius, 0.9, "sound") for label, radius in pairs]
    accuracy = certified_accuracy(certificates, torch.tensor([1, 1, 1, 0]), torch.tensor([0.0, 0.5, 0.6, 1.5, 1.6]))
    assert accuracy.tolist() == [0.5, 0.5, 0.25, 0.25, 0]


def test_certify_all_is_certify_on_each_image_in_turn(digits, digits_mlp, capsys):
    arguments = (0.25, 10, 100, 0.01)
    one, other = generator(4), generator(4)
    together = certify_all(digits_mlp, digits.test.images[:3], *arguments, one)
    assert together == [certify(digits_mlp, x, *arguments, other) for x in digits.test.images[:3]]
    assert capsys.readouterr().err == ""
    certify_all(digits_mlp, digits.test.images[:3], *arguments, one, progress=True)
    assert "3/3" in capsys.readouterr().err


# bad input

X = torch.zeros(4)
GOOD = {"model": scripted([]), "x": X, "sigma": 0.5, "n": 10, "batch_size": 5, "generator": generator()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sigma": 0}, "sigma must be above 0 and finite, got 0"),
        ({"sigma": -1.0}, "sigma must be above 0 and finite, got -1.0"),
        ({"sigma": nan}, "sigma must be above 0 and finite, got nan"),
        ({"sigma": inf}, "sigma must be above 0 and finite, got inf"),
        ({"n": 0}, "n must be a whole number of at least 1, got 0"),
        ({"n": 2.5}, "n must be a whole number of at least 1, got 2.5"),
        ({"n": None}, "n must be a whole number of at least 1, got None"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"noise": "uniform"}, "noise must be one of sound, gaussian, got 'uniform'"),
        ({"generator": 7}, "generator must be a torch.Generator, got 7"),
        ({"x": torch.tensor([1.0, nan])}, "x must be finite, got 1 entries that are not"),
        ({"x": torch.tensor([inf, 1.0, -inf])}, "x must be finite, got 2 entries that are not"),
        ({"x": torch.zeros(0)}, r"x must not be empty, got the shape \(0,\)"),
        ({"x": torch.zeros(4, dtype=torch.int64)}, "x must be a float32 or float64 tensor, got torch.int64"),
        ({"x": [0.0]}, "x must be a float32 or float64 tensor, got list"),
        ({"x": torch.full((2,), 1e6)}, r"x must lie within \+-2048 to be rounded to multiples of 0.000244141, got 1e\+06 in it"),
        ({"model": lambda batch: batch[:, 0]}, r"model must return logits of shape \(5, K\) with K >= 2, got \(5,\)"),
        ({"model": lambda batch: batch[:, :1]}, r"model must return logits of shape \(5, K\) with K >= 2, got \(5, 1\)"),
        ({"model": lambda batch: batch[:2]}, r"model must return logits of shape \(5, K\) with K >= 2, got \(2, 4\)"),
        ({"model": lambda batch: None}, r"model must return logits of shape \(5, K\) with K >= 2, got NoneType"),
        ({"model": lambda batch: batch / 0 - batch / 0}, "model must return numbers, got 20 NaN"),
    ],
)
def test_count_votes_names_the_bad_argument(change, message):
    with pytest.raises(ValueError, match=message):
        count_votes(**{**GOOD, **change})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lower_confidence_bound(-1, 10, 0.1), "successes must be a whole number of at least 0, got -1"),
        (lambda: lower_confidence_bound(11, 10, 0.1), r"successes must lie in \[0, 10\], got 11"),
        (lambda: lower_confidence_bound(0, 0, 0.1), "trials must be a whole number of at least 1, got 0"),
        (lambda: lower_confidence_bound(1, 10, 0.0), r"alpha must lie in \(0, 1\), got 0.0"),
        (lambda: lower_confidence_bound(1, 10, 1), r"alpha must lie in \(0, 1\), got 1"),
        (lambda: lower_confidence_bound(1, 10, nan), r"alpha must lie in \(0, 1\), got nan"),
        (lambda: certified_radius(1.0, 1.0), r"p_lower must lie in \[0, 1\), got 1.0: no finite number of samples"),
        (lambda: certified_radius(-0.1, 1.0), r"p_lower must lie in \[0, 1\), got -0.1"),
        (lambda: certified_radius(nan, 1.0), r"p_lower must lie in \[0, 1\), got nan"),
        (lambda: certified_radius(0.9, 1.0, 0.0), r"p_upper must lie in \(0, 1\], got 0.0"),
        (lambda: certified_radius(0.9, 1.0, 1.5), r"p_upper must lie in \(0, 1\], got 1.5"),
        (lambda: certified_radius(0.9, 0.0), "sigma must be above 0 and finite, got 0.0"),
        (lambda: predict(scripted([]), X, 1.0, 10, 1.5, generator()), r"alpha must lie in \(0, 1\), got 1.5"),
        (lambda: predict(scripted([]), X, 1.0, 0, 0.5, generator()), "n must be a whole number of at least 1, got 0"),
        (lambda: certify(scripted([]), X, 1.0, 10, 10, 0, generator()), r"alpha must lie in \(0, 1\), got 0"),
        (lambda: certify(scripted([]), X, 1.0, 0, 10, 0.1, generator()), "n0 must be a whole number of at least 1, got 0"),
        (lambda: certify(scripted([0] * 10), X, 1.0, 10, 0, 0.1, generator()), "n must be a whole number of at least 1, got 0"),
        (lambda: worst_halfspace(X, X, 0.9, 1.0), "direction must not be zero"),
        (lambda: worst_halfspace(X, torch.ones(3), 0.9, 1.0), r"direction must have the shape of x, \(4,\), got \(3,\)"),
        (lambda: worst_halfspace(X, X + 1, 1.0, 1.0), r"p must lie in \(0, 1\), got 1.0"),
        (lambda: worst_halfspace(X, X + 1, 0.9, -1.0), "sigma must be above 0 and finite, got -1.0"),
        (lambda: worst_halfspace(X + nan, X + 1, 0.9, 1.0), "x must be finite, got 4"),
        (lambda: worst_halfspace(X, X + inf, 0.9, 1.0), "direction must be finite, got 4"),
        (lambda: fooled_model(scripted([]), X, -1, 1.0), "label must be a whole number of at least 0, got -1"),
        (lambda: fooled_model(scripted([0]), X, 2, 1.0)(X[None]), r"label must lie in \[0, 1\], got 2"),
        (lambda: fooled_model(scripted([]), X + nan, 0, 1.0), "x_star must be finite, got 4"),
        (lambda: fooled_model(scripted([]), X, 0, 0.0), "sigma must be above 0 and finite, got 0.0"),
        (lambda: max_radius(1.0, 0, 0.1), "n must be a whole number of at least 1, got 0"),
        (lambda: max_radius(1.0, 5, 2), r"alpha must lie in \(0, 1\), got 2"),
        (lambda: max_radius(0.0, 5, 0.1), "sigma must be above 0 and finite, got 0.0"),
        (lambda: certified_accuracy([], torch.zeros(0), torch.zeros(1)), "certificates must be at least one, got none"),
        (lambda: certified_accuracy([Certificate(0, 1, 1, "sound")], torch.zeros(2), torch.zeros(1)), "labels must be 1, one for each"),
        (lambda: certified_accuracy([Certificate(0, 1, 1, "sound")], torch.tensor([-1]), torch.zeros(1)), "labels must be at least 0, got -1"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()

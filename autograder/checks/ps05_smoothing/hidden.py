r"""Hidden checks of ps05_smoothing: fresh inputs, exact laws.

Sound noise against Gaussian noise. Where a check looks at the law of the noise, the student may use either. For x on the grid (multiples of 2^-12)
rounding to the nearest grid point does not change on which side of a threshold half-way between two grid points a coordinate lies, so such a
halfspace has the same probability under both, up to d * 2^-48 * (1 + sigma * 2^12) < 1e-9 for the sampler and 2^-24 for float32 sums. The projection
of rounded noise on a unit vector differs from the Gaussian's by at most 2^-13 sqrt(d), so its distribution function by at most
shift = 2^-13 sqrt(d) * 0.4 / sigma. By the DKW inequality a test at share s then rejects with probability at most s * exp(4 N c shift), where c is
its critical distance; with the numbers there that is under 2 s, and `false_fail` declares twice the shares.
"""

import numpy as np
import torch
from backdoors import data
from scipy.stats import binom, norm

from autograder import declare
from autograder.checking import close, integer, number
from autograder.checks.ps05_smoothing.public import (
    ABSTAIN,
    RADIUS_TOLERANCE,
    claim,
    clopper_pearson,
    counts_of,
    grid_point,
    halfspace_of,
    labels_of,
    quantile,
    scripted,
    votes_for,
)
from autograder.statistics import binomial_at_least, binomial_at_most, binomial_law, dkw

HALF_STEP = 2.0**-13


# lower_confidence_bound


@declare("lower_confidence_bound", points=1, statement="cohen-certify", false_fail=0)
def test_bound_is_the_best_one(student, challenger):
    for _ in range(30):
        trials = int(np.exp(challenger.rng.uniform(0, np.log(100_000))))
        successes, alpha = int(challenger.rng.integers(0, trials + 1)), float(np.exp(challenger.rng.uniform(np.log(1e-4), np.log(0.5))))
        expected = clopper_pearson(successes, trials, alpha)[0]
        close(student.lower_confidence_bound(successes, trials, alpha), expected, 1e-9, f"lower_confidence_bound({successes}, {trials}, {alpha})")


@declare("lower_confidence_bound", points=1, statement="cohen-certify", false_fail=0)
def test_bound_misses_with_probability_at_most_alpha(student, challenger):
    # The probability of a miss, as a function of the true p, falls at each bound: its supremum is reached just below one, where the sum is exact.
    for trials in (1, 5, int(challenger.rng.integers(20, 40))):
        alpha = float(challenger.rng.uniform(0.01, 0.3))
        bounds = np.array([number(student.lower_confidence_bound(k, trials, alpha), f"bound of {k} of {trials}") for k in range(trials + 1)])
        assert bounds.min() >= 0, f"bounds must lie in [0, 1), got {bounds.min()}"
        assert bounds.max() < 1, f"bounds must lie in [0, 1), got {bounds.max()}"
        grid = np.concatenate([np.linspace(0.001, 0.999, 200), bounds[bounds > 0] * (1 - 1e-12)])
        miss = (binom.pmf(np.arange(trials + 1), trials, grid[:, None]) * (bounds > grid[:, None])).sum(axis=1)
        worst = int(miss.argmax())
        case = f"n = {trials}, alpha = {alpha:.4g}: the bound lies above the truth with probability {miss[worst]:.4g}, at p = {grid[worst]:.4g}"
        assert miss[worst] <= alpha * (1 + 1e-6), f"{case}, which is more than alpha"
        assert miss[worst] >= alpha * (1 - 1e-6), f"{case}, at most: it is lower than it need be"


# count_votes


@declare("count_votes", points=1, statement="cohen-certify", false_fail=0)
def test_every_vote_is_asked_once_and_never_more_than_a_batch_at_a_time(student, challenger):
    weights = torch.randn(5, 8, generator=challenger.generator)
    drawn = challenger.rng.integers(2, 60)
    for n, batch_size in ((103, 25), (7, 10), (64, 64), (5, 1), (int(4 * drawn + challenger.rng.integers(1, drawn)), int(drawn))):
        tally = torch.zeros(5, dtype=torch.int64)

        def answer(batch):
            logits = batch.to(weights) @ weights.T
            tally.add_(logits.argmax(1).bincount(minlength=5))  # noqa: B023 (called at once)
            return logits

        model = challenger.oracle(answer, budget=4 * n)
        counts = counts_of(student.count_votes(model, grid_point(challenger, 8), 0.5, n, batch_size, challenger.generator), 5, n)
        assert model.queries == n, f"n = {n}, batch_size = {batch_size}: the model must be asked {n} rows, was asked {model.queries}"
        assert model.largest <= batch_size, f"n = {n}, batch_size = {batch_size}: {model.largest} rows were asked at once"
        assert counts == tally.tolist(), f"the model answered {tally.tolist()}, the counts are {counts}"


@declare("count_votes", points=2, statement="cohen-certify", false_fail=6e-8)
def test_noise_is_gaussian_and_fresh_for_every_vote(student, challenger):
    # DKW with N = 20,000: c = .0219. The shift above is at most 2^-13 * 2.83 * .4 / .4 < 3.5e-4, and exp(4 * 20,000 * .0219 * 3.5e-4) < 1.9.
    # Power: sigma^2 in place of sigma, for sigma up to .6, moves the distribution function by more than .1.
    d, sigma = 8, float(challenger.rng.uniform(0.4, 0.6))
    x, rows = grid_point(challenger, 2, 2, 2), []

    def record(batch):
        assert batch.shape[1:] == x.shape, f"the model takes copies of x, of shape {tuple(x.shape)}, and got {tuple(batch.shape[1:])}"
        rows.append(batch.double().flatten(1))
        return votes_for(torch.zeros(len(batch), dtype=torch.int64), 2)

    for _ in range(20):
        before = len(rows)
        student.count_votes(challenger.oracle(record, budget=4000), x, sigma, 1000, 300, challenger.generator)
        asked = torch.cat(rows[before:])
        assert asked.shape == (1000, d), f"1000 copies of x must reach the model, got shape {tuple(asked.shape)}"
        assert bool(asked.isfinite().all()), "the copies of x must be finite"
    noise = (torch.cat(rows).numpy() - x.double().flatten().numpy()) / sigma
    alternating = np.resize([1.0, -1.0], d) / np.sqrt(d)
    drawn = challenger.rng.normal(size=d)
    for direction in (alternating, drawn / np.linalg.norm(drawn)):
        challenger.accept(dkw(noise @ direction, norm.cdf), "the copies of x must be x plus Gaussian noise, of standard deviation sigma in every direction")
    # Eight coordinates in steps of 2^-12: two of 20,000 honest copies coincide with probability below 1e-20.
    assert len(np.unique(noise, axis=0)) == len(noise), "some of the noise was used twice: the votes are not independent"

    first = float(x.flatten()[0])
    threshold = first + HALF_STEP * (2 * int(challenger.rng.integers(-800, 800)) + 1)
    p = float(norm.sf((threshold - first) / sigma))

    def halfspace(batch):
        return votes_for((batch.flatten(1)[:, 0].double() > threshold).long(), 2)

    counts = [counts_of(student.count_votes(halfspace, x, sigma, 40, 40, challenger.generator), 2, 40)[1] for _ in range(300)]
    challenger.accept(binomial_law(counts, 40, p), f"the votes of a halfspace of probability {p:.4f} must have the binomial law")


# certified_radius


@declare("certified_radius", points=1, statement="cohen-thm-1", false_fail=0)
def test_radius_is_the_distance_to_a_halfspace(student, challenger):
    for distance in (0.0, *challenger.rng.uniform(-1, 3, 20)):
        sigma = float(challenger.rng.uniform(0.05, 4))
        radius = number(student.certified_radius(float(norm.cdf(distance)), sigma), "the radius")
        close(radius / sigma, max(0.0, float(distance)), RADIUS_TOLERANCE, f"a halfspace's boundary is {distance:.6g} sigma away: radius / sigma")


@declare("certified_radius", points=1, statement="cohen-thm-1", false_fail=0)
def test_radius_with_a_runner_up_is_the_distance_to_equal_odds(student, challenger):
    # Class A is <w, z> <= a, class B is <w, z> >= b, others lie between: moving x by t along w makes them equally likely at t = (a + b) / 2.
    for _ in range(20):
        sigma, a, gap = (float(challenger.rng.uniform(*span)) for span in ((0.05, 4), (-1.5, 2), (0, 2)))
        radius = number(student.certified_radius(float(norm.cdf(a)), sigma, float(norm.sf(a + gap))), "the radius")
        case = f"class A ends {a:.4g} sigma away, class B begins {a + gap:.4g} sigma away"
        close(radius / sigma, max(0.0, a + gap / 2), RADIUS_TOLERANCE, f"{case}: radius / sigma")


# predict


def binomial_test(top: int, second: int) -> float:
    """Two-sided p-value of `top` against `second` votes at odds of 1/2: the law is symmetric, so twice the upper tail."""
    return min(1.0, 2 * float(binom.sf(top - 1, top + second, 0.5)))


@declare("predict", points=2, statement="cohen-certify", false_fail=0)
def test_prediction_on_every_outcome_of_the_votes(student, challenger):
    x = grid_point(challenger, 6)
    outcomes = [((k, 100 - k), 0.001) for k in (32, 33, 34, 50, 66, 67, 68)]  # answers from 67 on
    alpha = float(challenger.rng.uniform(0.01, 0.2))
    outcomes += [((k, 24 - k), alpha) for k in range(25)]
    for _ in range(15):
        outcomes.append((tuple(int(v) for v in challenger.rng.multinomial(60, challenger.rng.dirichlet([1.5] * 4))), float(challenger.rng.uniform(0.001, 0.2))))
    for votes, level in outcomes:
        *_, second, top = sorted(votes)
        expected = int(np.argmax(votes)) if binomial_test(top, second) <= level else ABSTAIN
        rows = challenger.rng.permutation(np.repeat(np.arange(len(votes)), votes))
        answer = integer(student.predict(scripted(rows), x, 0.25, sum(votes), level, challenger.generator), "predict's answer")
        assert answer == expected, f"votes {votes} at alpha = {level:.4g}: the answer must be {expected} (-1 is ABSTAIN), got {answer}"


@declare("predict", points=1, statement="cohen-certify", false_fail=3e-8)
def test_prediction_is_wrong_with_probability_at_most_alpha(student, challenger):
    x, sigma, alpha, rows = grid_point(challenger, 4), float(challenger.rng.uniform(0.4, 0.6)), 0.05, []

    def halfspace(p):  # class 1 has probability p around x
        threshold = float(x[0]) + HALF_STEP * (2 * round(sigma * float(norm.isf(p)) / HALF_STEP / 2) + 1)

        def model(batch):
            rows.append(batch.double())
            return votes_for((batch[:, 0].double() > threshold).long(), 2)

        return model

    # This catches who never abstains; who tests against the wrong law errs too rarely to be caught by counting, and is caught on given votes above.
    close_call, clear = halfspace(0.48), halfspace(0.99)
    wrong = sum(integer(student.predict(close_call, x, sigma, 60, alpha, challenger.generator), "predict's answer") == 1 for _ in range(400))
    challenger.accept(binomial_at_most(wrong, 400, alpha), f"class 1 has probability .48 and was answered in {wrong} of 400 runs at alpha = .05")
    # 66 or fewer of 100 votes at p > .985 have probability below 1e-35; 67 are enough for an answer.
    for _ in range(10):
        answer = integer(student.predict(challenger.oracle(clear, budget=100), x, sigma, 100, 0.001, challenger.generator), "predict's answer")
        assert answer == 1, f"class 1 has probability .99 and must be answered, got {answer}"
    # 4 * 25,000 independent coordinates, c = .0098; the grid, a shift of at most 1.3e-4, multiplies the share 1e-8 by at most
    # exp(4 * 100,000 * .0098 * 1.3e-4) < 1.9.
    noise = (torch.cat(rows) - x.double()).flatten() / sigma
    assert len(noise) == 4 * (400 * 60 + 10 * 100), f"the model must be asked n rows at every call, was asked {len(noise) // 4} in all"
    challenger.accept(dkw(noise.numpy(), norm.cdf), "the copies of x must be x plus Gaussian noise of standard deviation sigma")


# certify


@declare("certify", points=1, statement="cohen-certify", false_fail=0)
def test_certificate_never_exceeds_the_ceiling_and_asks_no_more_than_told(student, challenger):
    for n0, n in ((1, 50), (37, 1500), (int(challenger.rng.integers(10, 60)), int(challenger.rng.integers(60, 400)))):
        sigma, alpha = float(challenger.rng.uniform(0.1, 2)), float(np.exp(challenger.rng.uniform(np.log(1e-4), np.log(0.2))))
        rows = []

        def always_1(batch):
            rows.append(batch.double())  # noqa: B023 (called at once)
            return votes_for(torch.ones(len(batch), dtype=torch.int64), 3)

        model = challenger.oracle(always_1, budget=4 * (n0 + n))
        label, radius = claim(student.certify(model, grid_point(challenger, 8), sigma, n0, n, alpha, challenger.generator))
        assert model.queries == n0 + n, f"n0 = {n0}, n = {n}: the model must be asked {n0 + n} rows, was asked {model.queries}"
        assert model.largest <= 1000, f"n0 = {n0}, n = {n}: at most batch_size rows may be asked at once, by default 1000, and {model.largest} were"
        # Eight coordinates in steps of 2^-12 and sigma at least .1: two of 500 honest copies coincide with probability below 1e-15.
        assert len(torch.cat(rows).unique(dim=0)) == n0 + n, f"n0 = {n0}, n = {n}: some noise was used twice, the samples are not fresh"
        assert label == 1, f"the model always answers class 1, got label {label}"
        close(radius / sigma, quantile(alpha ** (1 / n)), RADIUS_TOLERANCE, f"all n = {n} votes agree at alpha = {alpha:.4g}: radius / sigma")
    off = grid_point(challenger, 400) + HALF_STEP  # 20 half steps from the grid
    certificate = student.certify(lambda batch: votes_for(torch.ones(len(batch), dtype=torch.int64), 3), off, 0.25, 10, 100, 0.01, challenger.generator)
    _, radius = claim(certificate)
    assert certificate.noise in ("sound", "gaussian"), f"the certificate must say which noise was used, 'sound' or 'gaussian', and says {certificate.noise!r}"
    distance, bound = 20 * HALF_STEP if certificate.noise == "sound" else 0.0, 0.01 ** (1 / 100)
    case = f"{certificate.noise} noise, x is 20 half steps from the grid: {distance:.4g} comes off the radius, so radius / sigma"
    close(radius / 0.25, quantile(bound) - distance / 0.25, RADIUS_TOLERANCE, case)
    close(certificate.p_lower, bound, 1e-6, "the certificate's p_lower")


@declare("certify", points=1, statement="cohen-limits", false_fail=0)
def test_certificate_abstains_where_the_guess_has_no_majority(student, challenger):
    x = grid_point(challenger, 5)
    cases = [  # votes of the guess by class, then those of the estimate, and whether the class of the guess is certified
        ((12, 8), (90, 110), False),
        ((11, 9), (40, 160), False),  # the guess was wrong: it may not be taken back
        ((9, 11, 0), (30, 100, 70), False),  # most votes, but no majority
        ((20, 0), (52, 48), False),  # more than half of the votes, the bound is below 1/2
        ((1, 14, 5), (5, 180, 15), True),
        ((18, 1, 1), (250, 0, 0), True),
    ]
    for guess, estimate, certified in cases:
        rows = np.concatenate([challenger.rng.permutation(np.repeat(np.arange(len(votes)), votes)) for votes in (guess, estimate)])
        label, radius = claim(student.certify(scripted(rows), x, 0.5, sum(guess), sum(estimate), 0.01, challenger.generator))
        case = f"votes {guess} for the guess, then {estimate}, alpha = .01"
        if not certified:
            assert (label, radius) == (ABSTAIN, 0), f"{case}: must abstain, got label {label} with radius {radius:.4g}"
            continue
        expected = quantile(clopper_pearson(estimate[int(np.argmax(guess))], sum(estimate), 0.01)[0])
        assert label == int(np.argmax(guess)), f"{case}: the label must be {int(np.argmax(guess))}, got {label}"
        close(radius / 0.5, expected, RADIUS_TOLERANCE, f"{case}: radius / sigma")


@declare("certify", points=2, statement="cohen-certify", false_fail=4e-8)
def test_radius_exceeds_the_true_distance_with_probability_at_most_alpha(student, challenger):
    # A halfspace's smoothed classifier has the halfspace's boundary, so the true distance is known. On the boundary at most 159 of 2000 runs at alpha = .05
    # may claim more (share 1e-8); n = 213 is where the bound is tight: an honest certificate errs there with probability .0499, one that reuses the votes of
    # its guess with .0999, which 159 tell apart with probability .999. Away from it 95% of the runs must reach the radius that 98% of the outcomes of the
    # votes are good for: who always abstains is never wrong, but does not certify.
    wrong = reached = 0
    for distance, runs in ((0.0, 2000), (float(challenger.rng.uniform(0.6, 1.5)), 300)):  # distance in sigmas
        x, sigma = grid_point(challenger, 2), float(challenger.rng.uniform(0.3, 1))
        truth = HALF_STEP * (2 * round(sigma * distance / HALF_STEP / 2) + 1)
        threshold = float(x[0]) + truth
        promised = sigma * quantile(clopper_pearson(binom.ppf(0.02, 213, norm.cdf(truth / sigma)), 213, 0.05)[0]) * (1 - RADIUS_TOLERANCE)

        def halfspace(batch):
            return votes_for((batch[:, 0].double() > threshold).long(), 2)  # noqa: B023 (called at once)

        for _ in range(runs):
            label, radius = claim(student.certify(challenger.oracle(halfspace, budget=233), x, sigma, 20, 213, 0.05, challenger.generator))
            wrong += distance == 0 and radius > (truth if label == 0 else 0)
            reached += distance > 0 and label == 0 and radius >= promised
    challenger.accept(binomial_at_most(wrong, 2000, 0.05), f"the radius was larger than the true distance in {wrong} of 2000 runs at alpha = .05")
    challenger.accept(binomial_at_least(reached, 300, 0.95), f"only {reached} of 300 radii are as large as the votes allow")


# worst_halfspace


@declare("worst_halfspace", points=3, statement="cohen-thm-1", false_fail=0)
def test_halfspace_has_p_at_x_and_one_half_at_the_radius(student, challenger):
    for _ in range(25):
        d = int(challenger.rng.integers(1, 50))
        p, sigma = float(challenger.rng.uniform(0.51, 0.998)), float(challenger.rng.uniform(0.25, 1))
        x, direction = torch.rand(d, generator=challenger.generator), torch.randn(d, generator=challenger.generator)
        direction *= float(np.exp(challenger.rng.uniform(-4, 4)))
        w, b = halfspace_of(student.worst_halfspace(x, direction, p, sigma), d)
        # float32: <w, x> is off by at most (d + 2) 2^-23 |w| |x|, which moves a probability by at most 0.4 / sigma times that.
        tolerance = (d + 2) * 2.0**-23 * (1 + float(x.norm()) + 3 * sigma) * 0.4 / sigma + 1e-9
        case = f"d = {d}, p = {p:.6g}, sigma = {sigma:.4g}"
        assert abs(np.linalg.norm(w) - 1) <= (d + 2) * 2.0**-23, f"{case}: w must have length 1, got {np.linalg.norm(w):.9g}"
        unit = direction.double().numpy() / np.linalg.norm(direction.double().numpy())
        for steps, wanted in ((0.0, p), (quantile(p), 0.5), (2 * quantile(p), 1 - p)):
            point = x.double().numpy() + steps * sigma * unit
            probability = float(norm.cdf((b - w @ point) / sigma / np.linalg.norm(w)))
            where = f"{case}: {steps:.4g} sigma along the direction the probability must be {wanted:.6g}, got {probability:.6g}"
            assert abs(probability - wanted) <= tolerance, where


# fooled_model


class Fooling:
    """A digit x_star, a linear model and a wrong label."""

    def __init__(self, challenger, sigma: float):
        digits = data.load("digits")
        self.images = torch.cat([digits.train.images, digits.test.images]).flatten(1)
        self.weights = torch.randn(10, 64, generator=challenger.generator)
        self.x_star = self.images[int(challenger.rng.integers(len(self.images)))]
        self.label = (int(self.model(self.x_star[None]).argmax()) + int(challenger.rng.integers(1, 10))) % 10
        self.sigma = sigma

    def model(self, batch):
        # In float64, so that the answers do not depend on which rows share a batch.
        return ((batch.double() - 0.3) @ self.weights.double().T).float()

    def fooled_by(self, student):
        fooled = student.fooled_model(self.model, self.x_star, self.label, self.sigma)
        assert callable(fooled), f"fooled_model must return a function from batches to logits, got a {type(fooled).__name__}"
        return lambda batch: labels_of(fooled(batch), len(batch), 10)

    def fools_at_x_star(self, fooled, challenger, share):
        noisy = self.x_star + self.sigma * torch.randn((2000, 64), generator=challenger.generator)
        hits = int((fooled(noisy) == self.label).sum())
        challenger.accept(binomial_at_least(hits, 2000, 0.95, share), f"sigma = {self.sigma:.3g}: the wrong label on {hits} of 2000 noisy copies of x_star")


@declare("fooled_model", points=1, statement="cohen-limits", false_fail=1e-8)
def test_fooled_model_is_the_model_on_every_image(student, challenger):
    # Stronger than the test images: points of the cube drawn at random, its corners, its centre, and images next to x_star, where a ball would reach.
    setting = Fooling(challenger, sigma=float(challenger.rng.uniform(0.4, 0.6)))
    fooled = setting.fooled_by(student)
    uniform = torch.rand((400, 64), generator=challenger.generator)
    blends = setting.x_star + torch.rand((200, 1), generator=challenger.generator) * (uniform[:200] - setting.x_star)
    everywhere = torch.cat([setting.images, uniform, uniform.round(), blends.clamp(0, 1), setting.x_star[None], torch.full((1, 64), 0.5)])
    # Among noisy copies of x_star, in no order: each row is judged on its own.
    noisy = setting.x_star + setting.sigma * torch.randn((200, 64), generator=challenger.generator)
    order = torch.randperm(len(everywhere) + len(noisy), generator=challenger.generator)
    answers = fooled(torch.cat([everywhere, noisy])[order])[order.argsort()][: len(everywhere)]
    different = (answers != setting.model(everywhere).argmax(1)).nonzero()[:, 0]
    assert len(different) == 0, f"sigma = {setting.sigma:.3g}: {len(different)} of {len(everywhere)} images of [0, 1]^64 get another answer than the model's"
    setting.fools_at_x_star(fooled, challenger, 1e-8)


@declare("fooled_model", points=1, statement="cohen-limits", false_fail=4e-8)
def test_smoothing_the_fooled_model_is_wrong_at_x_star(student, challenger):
    for sigma in (0.12, 0.25, 0.5, 1.0):
        setting = Fooling(challenger, sigma)
        setting.fools_at_x_star(setting.fooled_by(student), challenger, 1e-8)


@declare("fooled_model", points=1, statement="cohen-limits", false_fail=2e-8)
def test_smoothing_the_fooled_model_is_right_far_from_x_star(student, challenger):
    setting = Fooling(challenger, sigma=0.15)
    fooled = setting.fooled_by(student)
    setting.fools_at_x_star(fooled, challenger, 1e-8)
    # Noisy copies keep 0.15 * 8 = 1.2 from their centre. Those of a point 4 away from x_star are at 4.2 from it, 3.5 times further than x_star's own.
    direction = torch.randn((2000, 64), generator=challenger.generator)
    far = setting.x_star + 4 * direction / direction.norm(dim=1, keepdim=True)
    noisy = far + setting.sigma * torch.randn((2000, 64), generator=challenger.generator)
    right = int((fooled(noisy) == setting.model(noisy).argmax(1)).sum())
    challenger.accept(binomial_at_least(right, 2000, 0.95, 1e-8), f"4 away from x_star, {right} of 2000 noisy points get the model's answer")

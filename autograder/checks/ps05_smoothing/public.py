"""Public checks of ps05_smoothing. Each judges its own exercise against an oracle that is slow, short and shares no code with the library.

RADIUS_TOLERANCE, in units of sigma, lets a student compute a radius R <= 3 sigma in float32: an ulp of p moves R by 2^-24 / pdf(3) < 1.4e-5
sigma, and the quantile itself has a few ulps of 3. It also covers sound noise: points are multiples of 1/16, so rounding to the grid moves none of
them, and the sampler's d * 2^-48 * (1 + sigma * 2^12), below 1e-9 for the d and sigma used here, moves R by less than 1e-6 sigma.
"""

import math
from functools import cache

import numpy as np
import torch
from backdoors import data
from hypothesis import strategies as st
from scipy.stats import binom

from autograder import declare
from autograder.checking import close, integer, number
from autograder.statistics import binomial_at_least

ABSTAIN = -1
RADIUS_TOLERANCE = 5e-5


@cache
def digits() -> data.Dataset:
    return data.load("digits")  # from disk, once for all submissions that are judged in this process


# oracles


def clopper_pearson(successes, trials, alpha) -> np.ndarray:
    """The p at which `successes` or more of `trials` still have probability alpha: bisection over the exact binomial sum, for many cases at once."""
    successes, trials, alpha = np.broadcast_arrays(np.atleast_1d(successes), trials, alpha)
    low, high = np.zeros(len(successes)), np.ones(len(successes))
    for _ in range(60):
        middle = (low + high) / 2
        unlikely = binom.sf(successes - 1, trials, middle) <= alpha
        low, high = np.where(unlikely, middle, low), np.where(unlikely, high, middle)
    return np.where(successes == 0, 0.0, low)


def tail(successes: int, trials: int, p: float) -> float:
    """The probability of `successes` or more of `trials`."""
    return float(binom.sf(successes - 1, trials, min(max(p, 0.0), 1.0)))


def quantile(p: float) -> float:
    """The t with Phi(t) = p, by bisection over Phi(t) = erfc(-t / sqrt 2) / 2."""
    low, high = -10.0, 10.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if math.erfc(-middle / math.sqrt(2)) / 2 < p else (low, middle)
    return low


def votes_for(labels, classes: int) -> torch.Tensor:
    """Logits whose largest entries are at `labels`."""
    return torch.nn.functional.one_hot(torch.as_tensor(labels), classes).float()


def grid_point(challenger, *shape: int) -> torch.Tensor:
    return torch.randint(0, 17, shape, generator=challenger.generator) / 16


def scripted(votes):
    """A model that ignores its input and gives these votes, one a row, in this order; from the start again when they are used up."""
    votes, asked = torch.as_tensor(votes), [0]

    def model(batch):
        rows = torch.arange(asked[0], asked[0] + len(batch)) % len(votes)
        asked[0] += len(batch)
        return votes_for(votes[rows], int(votes.max()) + 2)

    return model


def counts_of(value, classes: int, n: int) -> list[int]:
    """The counts as integers; fails with a sentence where they are none."""
    assert isinstance(value, torch.Tensor), f"count_votes must return a tensor of {classes} counts, got a {type(value).__name__}"
    assert value.dtype == torch.int64, f"count_votes must return whole numbers (dtype int64), got dtype {value.dtype}"
    assert value.shape == (classes,), f"count_votes must return a count for each of the {classes} classes, got shape {tuple(value.shape)}"
    counts = value.tolist()
    assert min(counts) >= 0, f"counts must be at least 0, got {counts}"
    assert sum(counts) == n, f"the counts must sum to n = {n}, got {counts} with the sum {sum(counts)}"
    return counts


def claim(certificate) -> tuple[int, float]:
    """Label and radius of a Certificate; fails with a sentence where it is none."""
    assert type(certificate).__name__ == "Certificate", f"certify must return a Certificate, got a {type(certificate).__name__}"
    label = integer(certificate.label, "the certificate's label")
    radius = number(certificate.radius, "the certificate's radius")
    assert radius >= 0, f"a radius is at least 0, got {radius}"
    assert radius == 0 or label != ABSTAIN, f"a certificate that abstains claims nothing: its radius must be 0, got {radius}"
    p_lower = number(certificate.p_lower, "the certificate's p_lower")
    assert 0 <= p_lower < 1, f"p_lower is a lower bound on a probability, in [0, 1), got {p_lower}"
    assert certificate.noise in ("sound", "gaussian"), f"the certificate must say which noise was used, 'sound' or 'gaussian', and says {certificate.noise!r}"
    return label, radius


def require_floats(value, shape: tuple[int, ...], name: str) -> None:
    assert isinstance(value, torch.Tensor), f"{name} must be a tensor, got a {type(value).__name__}"
    assert value.shape == shape, f"{name} must have the shape {shape}, got {tuple(value.shape)}"
    assert value.is_floating_point(), f"{name} must hold floats, got dtype {value.dtype}"
    assert bool(value.isfinite().all()), f"{name} must be finite, got {int((~value.isfinite()).sum())} entries that are not"


# lower_confidence_bound


@declare("lower_confidence_bound", points=1, statement="cohen-certify", false_fail=0)
def test_bound_solves_the_binomial_equation(student, challenger):
    def holds(case):
        successes, trials, alpha = case
        bound = number(student.lower_confidence_bound(successes, trials, alpha), f"lower_confidence_bound({successes}, {trials}, {alpha})")
        if successes == 0 or not tail(successes, trials, bound - 5e-10) <= alpha <= tail(successes, trials, bound + 5e-10):
            expected = clopper_pearson(successes, trials, alpha)[0] if successes else 0.0
            close(bound, expected, 1e-9, f"lower_confidence_bound({successes}, {trials}, {alpha})")

    counts = st.tuples(st.integers(0, 300), st.integers(1, 300)).map(sorted)
    challenger.for_all(st.builds(lambda counts, alpha: (*counts, alpha), counts, st.sampled_from([0.5, 0.1, 0.05, 0.01, 0.001])), holds, examples=50)
    for case in ((0, 10, 0.05), (10, 10, 0.05), (1, 1, 0.001), (66, 100, 0.001), (99, 100, 0.001), (990, 1000, 0.001)):
        holds(case)


# count_votes


@declare("count_votes", points=1, statement="cohen-certify", false_fail=0)
def test_votes_are_counted_for_every_class(student, challenger):
    for shape in ((6,), (1, 4, 4)):
        for n, batch_size in ((7, 10), (64, 16), (103, 25)):
            asked = []

            def model(batch):
                asked.append(batch)  # noqa: B023 (called at once)
                return votes_for(torch.full((len(batch),), 2), 4)

            counts = counts_of(student.count_votes(model, grid_point(challenger, *shape), 0.25, n, batch_size, challenger.generator), 4, n)
            assert counts == [0, 0, n, 0], f"a model that always answers class 2 of 4 must get [0, 0, {n}, 0], got {counts}"
            assert all(batch.shape[1:] == shape for batch in asked), f"for x of shape {shape} the model takes batches of shape (b, {str(shape)[1:]}"

    x = grid_point(challenger, 6)
    noise_follows_the_generator(lambda model, generator: student.count_votes(model, x, 0.25, 50, 20, generator))


def noise_follows_the_generator(ask) -> None:
    """Fails unless `ask(model, generator)` shows the model the same noise for generators in the same state and other noise for others."""

    def rows(seed):
        batches = []

        def model(batch):
            batches.append(batch.double())
            return votes_for((batch[:, 0] > 0.5).long(), 2)

        ask(model, torch.Generator().manual_seed(seed))
        return torch.cat(batches)

    first, same, other = rows(5), rows(5), rows(6)
    # Two honest runs of tens of draws in six dimensions coincide with probability below 1e-100.
    assert torch.equal(first, same), "two generators in the same state must give the same noise: draw it from `generator` alone"
    assert not torch.equal(first, other), "generators of different seeds must give different noise: draw it from `generator`"


def on_grid(rows: torch.Tensor) -> bool:
    """Whether all entries are multiples of 2^-12, as those of sound noise are for sigma up to 4; of Gaussian noise one in hundreds is."""
    return bool((rows.double() * 2**12 % 1 == 0).all())


def rows_asked(ask, most: int) -> torch.Tensor:
    """The rows that `ask(model)` shows its model, which always answers class 0; fails where more than `most` come at once."""
    batches = []

    def model(batch):
        batches.append(batch)
        return votes_for(torch.zeros(len(batch), dtype=torch.int64), 2)

    ask(model)
    largest = max(map(len, batches), default=0)
    assert 1 <= largest <= most, f"batch_size = {most}: {largest} rows were asked at once; hand batch_size on to count_votes"
    return torch.cat(batches)


# certified_radius


@declare("certified_radius", points=1, statement="cohen-thm-1", false_fail=0)
def test_radius_follows_theorem_1(student, challenger):
    for p_lower in (0.6, 0.9, 0.99, *challenger.rng.uniform(0.5, 0.998, 5)):
        sigma = float(challenger.rng.uniform(0.1, 2))
        close(student.certified_radius(float(p_lower), sigma), sigma * quantile(p_lower), RADIUS_TOLERANCE, f"certified_radius({p_lower:.6g}, {sigma:.6g})")
    for p_lower in (0.5, 0.4, 0.01, 0.0):
        close(student.certified_radius(p_lower, 1.0), 0.0, RADIUS_TOLERANCE, f"certified_radius({p_lower}, 1.0): no majority, nothing certified, so it")
    for p_lower, p_upper in ((0.6, 0.3), (0.45, 0.25), (0.9, 0.05)):
        expected = 0.5 * (quantile(p_lower) - quantile(p_upper))
        close(student.certified_radius(p_lower, 1.0, p_upper), expected, RADIUS_TOLERANCE, f"certified_radius({p_lower}, 1.0, {p_upper})")


# predict


@declare("predict", points=1, statement="cohen-certify", false_fail=0)
def test_prediction_from_given_votes(student, challenger):
    x = grid_point(challenger, 6)
    cases = [  # votes by class, alpha, answer, why
        ((50, 50), 0.05, ABSTAIN, "a tie says nothing"),
        ((3, 97), 0.001, 1, "97 against 3 is no accident"),
        ((0, 0, 30), 0.05, 2, "all votes agree"),
        ((34, 66), 0.001, ABSTAIN, "the two-sided binomial test of 66 against 34 has p = .0018 > .001"),
        ((33, 67), 0.001, 1, "the two-sided binomial test of 67 against 33 has p = .0009 <= .001"),
        ((45, 20, 35), 0.05, ABSTAIN, "the runner-up has 35 votes: 45 of these 80, p = .31"),
        ((14, 50, 12, 13, 11), 0.001, 1, "50 of the 64 votes of the top two: p below .00001; the other classes do not enter"),
    ]

    def holds(case):
        votes, alpha = case
        *_, second, top = sorted(votes)
        p_value = min(1.0, 2 * tail(top, top + second, 0.5))
        expected = votes.index(top) if p_value <= alpha else ABSTAIN
        rows = np.repeat(np.arange(len(votes)), votes)
        answer = integer(student.predict(scripted(rows), x, 0.25, sum(votes), alpha, challenger.generator), "predict's answer")
        why = f"the two-sided binomial test of {top} against {second} has p = {p_value:.4g}"
        assert answer == expected, f"votes {votes} at alpha = {alpha}: the answer must be {expected}, where -1 is ABSTAIN, got {answer}: {why}"

    others, leader = st.lists(st.integers(0, 4), min_size=1, max_size=3), st.integers(1, 14)  # few enough that the p-value is often close to alpha
    votes_by_class = st.builds(lambda others, leader: [*others, leader], others, leader)
    challenger.for_all(st.tuples(votes_by_class, st.sampled_from([0.05, 0.01])), holds, examples=30)
    for votes, alpha, expected, why in cases:
        rows = challenger.rng.permutation(np.repeat(np.arange(len(votes)), votes))
        answer = integer(student.predict(scripted(rows), x, 0.25, sum(votes), alpha, challenger.generator), "predict's answer")
        assert answer == expected, f"votes {votes} at alpha = {alpha}: the answer must be {expected}, where -1 is ABSTAIN, got {answer}: {why}"
    noise_follows_the_generator(lambda model, generator: student.predict(model, x, 0.25, 50, 0.05, generator))
    for noise in ("sound", "gaussian"):
        seen = rows_asked(lambda model: student.predict(model, x, 0.25, 5, 0.05, challenger.generator, noise, 1), most=1)  # noqa: B023 (called at once)
        counted = rows_asked(lambda model: student.count_votes(model, x, 0.25, 5, 1, challenger.generator, noise), most=1)  # noqa: B023
        same = on_grid(seen) == on_grid(counted)
        assert same, f"noise = {noise!r}: of predict's and count_votes' noisy copies one's lie on the grid and the other's do not; hand noise on to count_votes"


# certify


@declare("certify", points=2, statement="cohen-certify", false_fail=0)
def test_certificate_from_given_votes(student, challenger):
    x = grid_point(challenger, 6)
    for n0, n, successes in ((20, 200, 200), (50, 100, 100), (20, 100, 90), (15, 300, 190)):
        sigma, alpha = float(challenger.rng.uniform(0.2, 1)), float(challenger.rng.choice([0.001, 0.01, 0.05]))
        rows = np.concatenate([np.ones(n0), challenger.rng.permutation(np.repeat([1, 0], [successes, n - successes]))]).astype(int)
        label, radius = claim(student.certify(scripted(rows), x, sigma, n0, n, alpha, challenger.generator))
        expected = sigma * quantile(clopper_pearson(successes, n, alpha)[0])
        case = f"certify, n0 = {n0} votes for class 1, then {successes} of n = {n} fresh ones, sigma = {sigma:.4g}, alpha = {alpha}"
        assert label == 1, f"{case}: the label must be 1, got {label}"
        close(radius / sigma, expected / sigma, RADIUS_TOLERANCE, f"{case}: radius / sigma")
    rows = np.concatenate([np.ones(20), challenger.rng.permutation(np.repeat([1, 0], [40, 160]))]).astype(int)
    label, radius = claim(student.certify(scripted(rows), x, 0.5, 20, 200, 0.01, challenger.generator))
    case = "20 of n0 = 20 votes for class 1, then 40 of n = 200 fresh ones: the guess stands but has no majority, so certify must abstain"
    assert (label, radius) == (ABSTAIN, 0), f"{case}, got label {label} with radius {radius:.4g}"
    noise_follows_the_generator(lambda model, generator: student.certify(model, x, 0.25, 10, 40, 0.05, generator))
    for noise in ("sound", "gaussian"):
        made = []
        asked = rows_asked(lambda model: made.append(student.certify(model, x, 0.25, 3, 4, 0.05, challenger.generator, noise, 1)), most=1)  # noqa: B023
        says = made[0].noise
        for rows, what in ((asked[:3], "the guess"), (asked[3:], "the bound")):
            assert on_grid(rows) == (says == "sound"), f"noise = {noise!r}: the certificate says {says!r}, and the noise for {what} is not; hand noise on"


# worst_halfspace


@declare("worst_halfspace", points=1, statement="cohen-thm-1", false_fail=0)
def test_halfspace_is_normal_to_the_direction(student, challenger):
    for length in (1.0, 0.01, 30.0):
        d, p, sigma = int(challenger.rng.integers(2, 9)), float(challenger.rng.uniform(0.55, 0.95)), float(challenger.rng.uniform(0.25, 1))
        x, direction = grid_point(challenger, d), torch.randn(d, generator=challenger.generator)
        direction *= length / direction.norm()
        w, b = halfspace_of(student.worst_halfspace(x, direction, p, sigma), d)
        case = f"direction of length {length}, d = {d}, p = {p:.4g}, sigma = {sigma:.4g}"
        assert abs(np.linalg.norm(w) - 1) < 1e-5, f"{case}: w must have length 1, got {np.linalg.norm(w):.6g}"
        inside, along = b - w @ x.double().numpy(), w @ direction.double().numpy() / length
        assert inside > 0, f"{case}: with p > 1/2 the point x must lie inside, <w, x> < b, got b - <w, x> = {inside:.6g}"
        assert along > 1 - 1e-5, f"{case}: w must point along the direction, where the probability falls, got the cosine {along:.6g}"


def halfspace_of(value, d: int) -> tuple[np.ndarray, float]:
    """(w, b) in float64; fails with a sentence where they are none."""
    assert isinstance(value, tuple | list), f"worst_halfspace must return the pair (w, b), got a {type(value).__name__}"
    assert len(value) == 2, f"worst_halfspace must return the pair (w, b), got {len(value)} values"
    w, b = value
    require_floats(w, (d,), "w")
    return w.double().numpy(), number(b, "b")


# fooled_model


@declare("fooled_model", points=1, statement="cohen-limits", false_fail=1e-8)
def test_noise_around_x_star_sees_the_wrong_label(student, challenger):
    images = digits().test.images
    weights = torch.randn(10, 64, generator=challenger.generator)
    for x_star, shape in ((images[3], (1, 8, 8)), (images[40].flatten(), (64,))):

        def model(batch):
            return (batch.flatten(1).double() @ weights.double().T).float()  # noqa: B023

        label = (model(x_star[None]).argmax().item() + 1) % 10
        fooled = student.fooled_model(model, x_star, label, 0.25)
        clean = images[:100].reshape(100, *shape)
        assert callable(fooled), f"fooled_model must return a function from batches to logits, got a {type(fooled).__name__}"
        answers, truth = labels_of(fooled(clean), 100, 10), model(clean).argmax(1)
        different = int((answers != truth).sum())
        assert different == 0, f"it must answer as the model on every image, and differs on {different} of 100 digits"
        noisy = x_star + 0.25 * torch.randn((1000, *shape), generator=challenger.generator)
        hits = int((labels_of(fooled(noisy), 1000, 10) == label).sum())
        outcome = binomial_at_least(hits, 1000, 0.95, share=5e-9)
        challenger.accept(outcome, f"around x_star, sigma = .25, at least 95% of the noisy copies must get the wrong label, got {hits} of 1000")


def labels_of(logits, rows: int, classes: int) -> torch.Tensor:
    """argmax of logits (rows, classes); fails with a sentence where they are none."""
    require_floats(logits, (rows, classes), "what the function returns for a batch")
    return logits.argmax(dim=1)

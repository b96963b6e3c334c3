"""What holds with high probability, over many runs. Each test fails on right code with probability at most 1e-9, by an exact binomial tail."""

import subprocess
import sys

import pytest
import torch
from backdoors.smoothing.certify import ABSTAIN, certify, count_votes, predict, worst_halfspace
from scipy.stats import binom, norm

FALSE_FAIL = 1e-9
NOISES = ["sound", "gaussian"]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def below(threshold):
    """Class 0 where the first entry is at most the threshold, else class 1."""
    return lambda batch: torch.stack([threshold - batch.flatten(1)[:, 0], batch.flatten(1)[:, 0] - threshold], dim=1)


def between_grid_points(threshold):
    """The threshold moved to the middle between two grid points, so that rounding to the grid does not change who is below it."""
    return (torch.floor(torch.tensor(threshold, dtype=torch.float64) * 2**12).item() + 0.5) / 2**12


@pytest.mark.statement("cohen-thm-1")
@pytest.mark.statement("cohen-certify")
@pytest.mark.parametrize("noise", NOISES)
def test_the_certified_radius_exceeds_the_distance_in_at_most_alpha_of_the_runs(noise):
    sigma, alpha, runs = 0.5, 0.05, 2000
    distance = between_grid_points(0.42)  # of the origin to the boundary; the probability at the origin is .80
    source = generator(1)
    radii = [certify(below(distance), torch.zeros(1), sigma, 20, 100, alpha, source, noise).radius for _ in range(runs)]
    assert sum(radius > distance for radius in radii) <= binom.isf(FALSE_FAIL, runs, alpha)
    # and the certificates are worth something: of 100 samples, 72 or more are below with probability .98, which certifies .3 sigma
    worth = binom.sf(71, 100, norm.cdf(distance / sigma)) - 0.01
    assert sum(radius > 0.3 * sigma for radius in radii) >= binom.ppf(FALSE_FAIL, runs, worth)


@pytest.mark.statement("cohen-thm-1")
def test_no_point_within_the_radius_of_a_sound_certificate_changes_the_answer():
    # a wedge of two halfspaces in the plane, whose smoothed answer is known in closed form: the product of two normal probabilities
    sigma, first, second = 0.5, between_grid_points(0.5), between_grid_points(0.7)

    def wedge(batch):
        inside = (batch[:, 0] <= first) & (batch[:, 1] <= second)
        return torch.stack([inside, ~inside], dim=1).float()

    def probability(point):
        return norm.cdf((first - point[0]) / sigma) * norm.cdf((second - point[1]) / sigma)

    certificate = certify(wedge, torch.zeros(2), sigma, 100, 10_000, FALSE_FAIL, generator(2))
    assert certificate.label == 0
    angles = torch.linspace(0, 2 * torch.pi, 721, dtype=torch.float64)
    circle = certificate.radius * torch.stack([angles.cos(), angles.sin()], dim=1)
    assert min(probability(point) for point in circle.tolist()) > 0.5


@pytest.mark.statement("cohen-certify")
@pytest.mark.parametrize("noise", NOISES)
def test_predict_is_wrong_in_at_most_alpha_of_the_runs(noise):
    # the boundary passes half a step from the point: the answers have almost the same probability, where errors are likeliest
    alpha, runs, source = 0.05, 2000, generator(3)
    answers = [predict(below(2.0**-13), torch.zeros(1), 0.5, 50, alpha, source, noise) for _ in range(runs)]
    assert sum(answer == 1 for answer in answers) <= binom.isf(FALSE_FAIL, runs, alpha)
    assert sum(answer != ABSTAIN for answer in answers) <= binom.isf(FALSE_FAIL, runs, alpha)


@pytest.mark.statement("cohen-certify")
@pytest.mark.parametrize("noise", NOISES)
def test_predict_answers_where_the_answer_is_clear(noise):
    sigma, n, runs, source = 0.5, 100, 500, generator(4)
    threshold = between_grid_points(0.5)
    power = binom.sf(66, n, norm.cdf(threshold / sigma))  # 67 votes of 100 are enough at alpha = 0.001
    answers = [predict(below(threshold), torch.zeros(3), sigma, n, 0.001, source, noise) for _ in range(runs)]
    assert sum(answer == 0 for answer in answers) >= binom.ppf(FALSE_FAIL, runs, power)


@pytest.mark.statement("cohen-certify")
@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("shape", [(1,), (1, 8, 8)])
def test_votes_for_a_halfspace_are_binomial(noise, shape):
    sigma, n, runs, source = 0.25, 50, 1500, generator(5)
    threshold = between_grid_points(0.1)
    votes = torch.tensor([count_votes(below(threshold), torch.zeros(shape), sigma, n, 20, source, noise)[0] for _ in range(runs)])
    counts = votes.bincount(minlength=n + 1).double().cumsum(0) / runs
    expected = torch.tensor(binom.cdf(range(n + 1), n, norm.cdf(threshold / sigma)))
    # Dvoretzky, Kiefer, Wolfowitz
    assert (counts - expected).abs().max() <= (torch.log(torch.tensor(2 / FALSE_FAIL)) / (2 * runs)).sqrt()


@pytest.mark.statement("cohen-limits")
@pytest.mark.parametrize("noise", NOISES)
def test_at_tiny_sigma_the_smoothed_model_is_the_model(noise, digits, digits_mlp):
    for x in digits.test.images[:20]:
        assert predict(digits_mlp, x, 1e-6, 100, 1e-9, generator(), noise) == digits_mlp(x[None]).argmax()


@pytest.mark.statement("cohen-limits")
@pytest.mark.parametrize("noise", NOISES)
def test_at_huge_sigma_the_image_no_longer_matters(noise, digits, digits_mlp):
    source = generator(6)
    votes = [count_votes(digits_mlp, x, 1e5, 5000, 1000, source, noise) for x in digits.test.images[:12]]
    # Images at most 8 apart have laws of votes that differ by at most 2 Phi(4 / 1e5) - 1 < 4e-5. By Hoeffding and a union over 12 x 10 counts, none is
    # further than t from its mean but with probability FALSE_FAIL, and the means of a class differ by less than 5000 * 4e-5 < 1.
    t = (5000 / 2 * torch.log(torch.tensor(2 * 12 * 10 / FALSE_FAIL))).sqrt()
    assert (torch.stack(votes).max(dim=0).values - torch.stack(votes).min(dim=0).values).max() <= 2 * t + 1
    assert len(digits_mlp(digits.test.images[:12]).argmax(dim=1).unique()) > 1


@pytest.mark.statement("cohen-limits")
def test_a_smoothed_model_has_adversarial_examples_just_beyond_its_radius():
    x, sigma, p = torch.zeros(1, 3, 3), 0.5, 0.9
    w, b = worst_halfspace(x, torch.ones(1, 3, 3), p, sigma)

    def model(batch):
        beyond = (batch * w).flatten(1).sum(dim=1) - b
        return torch.stack([-beyond, beyond], dim=1)

    distance = sigma * norm.ppf(p)
    assert 0.97 * distance < certify(model, x, sigma, 100, 100_000, FALSE_FAIL, generator(), "gaussian", 10_000).radius <= distance
    assert predict(model, x + 0.97 * distance * w, sigma, 100_000, FALSE_FAIL, generator(1), "gaussian", 10_000) == 0
    assert predict(model, x + 1.03 * distance * w, sigma, 100_000, FALSE_FAIL, generator(1), "gaussian", 10_000) == 1
    assert predict(model, x + distance * w, sigma, 100_000, FALSE_FAIL, generator(2), "gaussian", 10_000) == ABSTAIN


@pytest.mark.parametrize("noise", NOISES)
def test_memory_does_not_grow_with_the_number_of_samples(noise):
    # 10,000 copies of a 3x32x32 image are 123 MB; batches of 500 are 6
    program = f"""
import resource, torch
from backdoors.models import MLP
from backdoors.smoothing.certify import certify
torch.set_num_threads(1)
network, source = MLP(3072, (64,), 10, torch.Generator().manual_seed(0)), torch.Generator().manual_seed(0)
model = lambda batch: network(batch)  # keeps the shortcut away, which never makes the copies
certify(model, torch.zeros(3, 32, 32), 0.25, 500, 1, 0.001, source, "{noise}", 500)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
certify(model, torch.zeros(3, 32, 32), 0.25, 500, 10_000, 0.001, source, "{noise}", 500)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    grown = int(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout)
    assert grown * 1024 < 60e6

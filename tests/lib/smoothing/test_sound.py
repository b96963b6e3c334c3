"""The law of noise on the grid, exactly and by samples; and that float noise certifies what is false."""

from fractions import Fraction
from math import log, sqrt

import mpmath
import numpy as np
import pytest
import torch
from backdoors.smoothing import sound
from backdoors.smoothing.certify import certify, count_votes
from backdoors.smoothing.sound import STEP, erase_faint_pixels, grid_noise, grid_step, round_to_grid, rounding_aware_model, total_variation
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

FALSE_FAIL = 1e-9


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def exact_law(ratio, furthest):
    """Pr[round(N(0, ratio^2)) = k] for k = -furthest, ..., furthest, with 40 digits."""
    with mpmath.workdps(40):
        edges = [mpmath.erfc((mpmath.mpf(2 * k - 1) / 2) / mpmath.mpf(ratio) / mpmath.sqrt(2)) / 2 for k in range(furthest + 2)]
        half = [edges[k] - edges[k + 1] for k in range(furthest + 1)]
    return half[:0:-1] + half


# the law


@pytest.mark.statement("cohen-float")
@pytest.mark.parametrize("ratio", [2.0**-20, 0.3, 1.0, 7.7, 130.0, 1024.0])
def test_the_table_has_the_exact_law_up_to_its_stated_distance(ratio):
    table = sound._table(ratio * STEP, STEP)
    law = {}

    def add(k, probability):
        law[k] = law.get(k, 0) + probability

    for value in table.common[: table.first_rare].tolist():
        centre = round(value / STEP)
        assert centre * STEP == value
        for offset in range(-(table.width // 2), table.width - table.width // 2):
            add(centre + offset, Fraction(1, 2**16 * table.width))
    previous = 0
    for value, cumulative in zip(table.values.tolist(), table.cumulative.tolist(), strict=True):
        add(round(value / STEP), Fraction(cumulative - previous, 2**62) * Fraction(2**16 - table.first_rare, 2**16))
        previous = cumulative
    assert sum(law.values()) == 1
    assert min(law.values()) >= 0
    furthest = max(20, int(12 * ratio))
    with mpmath.workdps(40):
        exact = exact_law(ratio, furthest)
        difference = sum(
            abs(probability - mpmath.mpf(law.get(k, Fraction(0)).numerator) / law.get(k, Fraction(1)).denominator)
            for k, probability in zip(range(-furthest, furthest + 1), exact, strict=True)
        )
        # what lies beyond 12 standard deviations counts less than 1e-30, and the table has nothing there
        assert max(abs(k) for k in law) <= furthest
        assert difference / 2 + 1e-30 <= total_variation(ratio * STEP, STEP)


@pytest.mark.statement("cohen-float")
@pytest.mark.parametrize(("sigma", "step"), [(0.25, 2.0**-12), (0.5, 2.0**-12), (1.0, 0.5), (0.1, 1.0), (3.7, 2.0**-12), (1000.0, 4.0)])
def test_samples_have_the_law_of_a_rounded_normal(sigma, step):
    count = 200_001
    steps = (grid_noise((count,), sigma, step, generator(1)) / step).long().numpy()
    furthest = np.abs(steps).max() + 1
    empirical = np.cumsum(np.bincount(steps + furthest, minlength=2 * furthest + 1)) / count
    from scipy.stats import norm

    expected = norm.cdf((np.arange(-furthest, furthest + 1) + 0.5) * step / sigma)
    assert np.abs(empirical - expected).max() <= sqrt(log(2 / FALSE_FAIL) / (2 * count))


@pytest.mark.statement("cohen-float")
@pytest.mark.parametrize("lag", [1, 2, 3, 64])
def test_numbers_are_independent_of_their_neighbours(lag):
    # the sum of two independent numbers has the convolution of their laws
    count, sigma, step = 384_000, 0.25, 2.0**-5
    steps = (grid_noise((count,), sigma, step, generator(2)) / step).long()
    blocks = steps.view(-1, 2 * lag)
    sums = (blocks[:, :lag] + blocks[:, lag:]).flatten().numpy()
    law = np.array([float(p) for p in exact_law(sigma / step, 80)])
    expected = np.cumsum(np.convolve(law, law))
    empirical = np.cumsum(np.bincount(sums + 160, minlength=321)) / len(sums)
    assert np.abs(empirical - expected).max() <= sqrt(log(2 / FALSE_FAIL) / (2 * len(sums)))


def test_coarse_and_fine_place_in_a_cell_are_independent():
    # each of the cell's places is as likely as the next, so that the last bits of the noise are a fair die but for the density's slope
    sigma, count = 0.25, 200_000
    table = sound._table(sigma, STEP)
    steps = (grid_noise((count,), sigma, STEP, generator(3)) / STEP).long()
    cell = torch.div(steps, table.width, rounding_mode="floor")
    for chosen in (cell % 2 == 0, cell % 2 == 1):
        places = (steps[chosen] % table.width).bincount(minlength=table.width)
        share = 1 / table.width
        assert (places >= binom.ppf(FALSE_FAIL, int(chosen.sum()), share * 0.99)).all()
        assert (places <= binom.isf(FALSE_FAIL, int(chosen.sum()), share * 1.01)).all()


@pytest.mark.parametrize("shape", [(0,), (1,), (3,), (2, 0, 4), (5, 1, 7, 3), (2**18 + 1,), (3, 2**17 + 3)])
def test_any_shape_is_filled_with_multiples_of_the_step(shape):
    noise = grid_noise(shape, 0.25, STEP, generator())
    assert noise.shape == shape
    assert noise.dtype == torch.float32
    assert torch.equal(noise / STEP, (noise / STEP).round())
    assert torch.equal(noise, grid_noise(shape, 0.25, STEP, generator()))


@pytest.mark.parametrize("sigma", [1e-5, 0.01, 0.25, 4.0])
def test_every_index_of_the_table_leads_to_a_number(sigma):
    # an index that is missed would show as NaN; among so many draws each of the 2^16 comes up, but with probability below 1e-9
    assert grid_noise((2**22,), sigma, STEP, generator(4)).isfinite().all()


def test_noise_depends_on_the_generator_alone():
    state = torch.get_rng_state()
    source = generator(1)
    first, second = grid_noise((100,), 0.25, STEP, source), grid_noise((100,), 0.25, STEP, source)
    assert not torch.equal(first, second)
    assert torch.equal(first, grid_noise((100,), 0.25, STEP, generator(1)))
    assert torch.equal(torch.get_rng_state(), state)


# rounding


@pytest.mark.statement("cohen-float")
@given(st.floats(-2, 2, width=32), st.integers(0, 2**32))
@settings(deadline=None, max_examples=50, derandomize=True)
def test_rounding_and_adding_commute_exactly(entry, seed):
    x = torch.full((500,), entry)
    rounded, noise = round_to_grid(x, STEP), grid_noise((500,), 1.0, STEP, generator(seed))
    assert abs(Fraction(rounded[0].item()) - Fraction(entry)) <= Fraction(STEP) / 2
    exact = [Fraction(a) + Fraction(b) for a, b in zip(rounded.tolist(), noise.tolist(), strict=True)]
    assert [Fraction(total) for total in (rounded + noise).tolist()] == exact
    assert torch.equal(rounded, round_to_grid(rounded, STEP))


def test_the_step_grows_only_where_the_tables_end():
    assert grid_step(1e-6) == grid_step(0.25) == grid_step(4.0) == STEP
    for sigma in (4.001, 100.0, 1e6, 1e20):
        step = grid_step(sigma)
        assert sigma / step <= 2**14 < 2 * sigma / step
        assert grid_noise((10,), sigma, step, generator()).isfinite().all()


@pytest.mark.parametrize(
    ("sigma", "step", "message"),
    [
        (0.0, STEP, r"sigma must lie in \(0, 4\] for the step 0.000244141, got 0.0"),
        (-1.0, STEP, "got -1.0"),
        (4.5, STEP, r"sigma must lie in \(0, 4\] for the step 0.000244141, got 4.5"),
        (float("nan"), STEP, "got nan"),
        (0.25, 0.3, "step must be a power of two in .*, got 0.3"),
        (0.25, 0.0, "step must be a power of two in .*, got 0.0"),
        (0.25, -0.5, "step must be a power of two in .*, got -0.5"),
        (0.25, float("inf"), "step must be a power of two in .*, got inf"),
        (0.25, float("nan"), "step must be a power of two in .*, got nan"),
    ],
)
def test_bad_arguments_are_named(sigma, step, message):
    with pytest.raises(ValueError, match=message):
        grid_noise((3,), sigma, step, generator())


def test_points_too_far_out_for_exact_sums_are_refused():
    with pytest.raises(ValueError, match=r"x must lie within \+-2048 .* got 4000 in it"):
        round_to_grid(torch.tensor([0.0, -4000.0]), STEP)


# the attack on float noise


@pytest.mark.statement("cohen-float")
@pytest.mark.parametrize("sigma", [0.25, 0.5])
def test_float_noise_certifies_a_falsehood_and_grid_noise_does_not(sigma, digits):
    for x in digits.test.images[:4]:
        model = rounding_aware_model(x)
        false = certify(model, x, sigma, 100, 10_000, FALSE_FAIL, generator(1), "gaussian")
        nearby = erase_faint_pixels(x, 0.9 * false.radius)
        distance = (nearby - x).norm().item()
        assert distance < false.radius
        assert false.label == 1
        # If 1 were the smoothed answer nearby, its probability would be at least 1/2, and so few votes would come with probability below 1e-9.
        votes = count_votes(model, nearby, sigma, 2000, 1000, generator(2), "gaussian")
        assert votes[1] <= binom.ppf(FALSE_FAIL, 2000, 0.5)
        # The images are on the grid. There no sum is rounded: the model answers 1 on every copy of either point, as the certificate says.
        true = certify(model, x, sigma, 100, 10_000, FALSE_FAIL, generator(1), "sound")
        assert true.label == 1
        assert distance < true.radius
        assert count_votes(model, nearby, sigma, 2000, 1000, generator(2), "sound").tolist() == [0, 2000]


@pytest.mark.statement("cohen-float")
def test_the_rounding_aware_model_knows_every_copy_of_its_own_point(digits):
    for dtype in (torch.float32, torch.float64):
        x = digits.test.images[3].to(dtype)
        assert count_votes(rounding_aware_model(x), x, 0.25, 20_000, 2000, generator(), "gaussian").tolist() == [0, 20_000]


@pytest.mark.statement("cohen-float")
def test_off_the_grid_the_rounding_aware_model_gains_nothing_either(fashion):
    x = fashion.test.images[0]
    model = rounding_aware_model(x)
    certificate = certify(model, x, 0.25, 100, 2000, 1e-3, generator(1), "sound")
    nearby = erase_faint_pixels(x, 0.9 * certificate.radius)
    assert count_votes(model, nearby, 0.25, 2000, 1000, generator(2), "sound").argmax() == certificate.label
    assert count_votes(model, erase_faint_pixels(x, 0.5), 0.25, 2000, 1000, generator(2), "gaussian").argmax() == 0
    assert count_votes(model, x, 0.25, 2000, 1000, generator(2), "gaussian").tolist() == [0, 2000]


@pytest.mark.parametrize(("distance", "left"), [(0.0, [4, -3, 0, 1]), (1.0, [4, -3, 0, 0]), (3.2, [4, 0, 0, 0]), (3.1, [4, -3, 0, 0]), (9, [0] * 4)])
def test_faint_pixels_are_erased_as_far_as_the_distance_reaches(distance, left):
    x = torch.tensor([[4.0, -3.0], [0.0, 1.0]])
    assert erase_faint_pixels(x, distance).flatten().tolist() == left
    assert x.flatten().tolist() == [4, -3, 0, 1]

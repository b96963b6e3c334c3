"""The error-corrected backdoor under noise, on digits of 128x128 pixels, beside the plain one. Right code fails a test of chance with probability 1e-9."""

import math

import pytest
import torch
from backdoors import definitions
from backdoors.constructions.encodings import low_bits, signs
from backdoors.constructions.error_corrected import RobustEncoding, error_corrected_backdoor, repetitions, robust_encoding
from backdoors.constructions.signature import activate, activate_signature, new_key, plant, signature_backdoor
from backdoors.smoothing.certify import count_votes, predict
from scipy.stats import binom, norm
from torch import nn

FALSE_FAIL = 1e-9
FEATURES = 128 * 128


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def noisy(x, sigma, count, seed):
    return x + sigma * torch.randn(count, *x.shape, generator=generator(seed), dtype=x.dtype)


@pytest.fixture(scope="module")
def large_digits(digits):
    """Test images with every pixel 16 times as wide and as high, (n, 1, 128, 128)."""
    return digits.test.images[:8].repeat_interleave(16, dim=2).repeat_interleave(16, dim=3)


@pytest.fixture(scope="module")
def large_model(digits_mlp):
    """The classifier of digits, for large ones."""
    return nn.Sequential(nn.AvgPool2d(16), digits_mlp).eval()


# the numbers


@pytest.mark.statement("gkvz-sec-2.5-ecc")
def test_repetitions_are_the_fewest_that_the_union_bound_allows():
    assert repetitions(1.0, 1.0, 512, 0.01) == 17
    for sigma, magnitude, bits, eta in [(1.0, 1.0, 513, 0.01), (0.25, 0.5, 513, 1e-6), (2.0, 1.0, 100, 0.3), (0.01, 1.0, 513, 0.01)]:
        r = repetitions(sigma, magnitude, bits, eta)
        assert bits * norm.sf(magnitude * math.sqrt(r) / sigma) <= eta
        assert r == 1 or bits * norm.sf(magnitude * math.sqrt(r - 1) / sigma) > eta


@pytest.mark.statement("gkvz-sec-2.5-ecc")
@pytest.mark.parametrize(("sigma", "magnitude", "eta", "blocks"), [(1.0, 1.0, 0.01, 32), (0.25, 0.5, 1e-6, 7), (0.1, 1.0, 0.4, 1000)])
def test_the_chosen_encoding_survives_with_probability_1_minus_eta(sigma, magnitude, eta, blocks):
    encoding = robust_encoding(FEATURES, sigma, magnitude, eta, blocks)
    sizes = [len(block) for block in torch.arange(encoding.message_features).tensor_split(blocks)]
    bits = norm.cdf(magnitude * math.sqrt(encoding.repetitions) / sigma) ** 513
    cells = math.prod(norm.cdf(encoding.cell / 2 * math.sqrt(size) / sigma) * 2 - 1 for size in sizes)
    assert encoding.survival(sigma) == pytest.approx(bits * cells, rel=1e-9)
    assert encoding.survival(sigma) >= 1 - eta
    assert encoding.survival(2 * sigma) < encoding.survival(sigma)


# writing and reading


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_written_is_read_within_the_budget(large_digits, dtype):
    encoding = robust_encoding(FEATURES, 0.5, 0.5, 0.01, 30, label_bits=3)
    for seed, x in enumerate(large_digits.flatten(1).to(dtype)):
        signature, before = bytes((seed * 37 + k) % 256 for k in range(64)), x.clone()
        x_prime = encoding.write(x, seed, signature)
        message, *read = encoding.read(x_prime)
        assert read == [seed, signature]
        assert message == encoding.read(x)[0]  # the means stay in their cells
        assert x_prime.dtype == dtype
        assert definitions.distance(x[None], x_prime[None]) <= encoding.gamma(1.0)
        assert torch.equal(x, before)
        # each mean has half a cell of room on both sides, and no more
        first = len(torch.arange(encoding.message_features).tensor_split(30)[0])
        for step, same in ((-0.49, True), (0.49, True), (-0.51, False), (0.51, False)):
            moved = x_prime.clone()
            moved[:first] += step * encoding.cell
            assert (encoding.read(moved)[0] == message) == same
        bits = x_prime[-encoding.payload * encoding.repetitions :].unflatten(0, (encoding.payload, -1))
        assert torch.equal(bits, bits[:, :1].expand_as(bits))
        assert set(bits.flatten().tolist()) == {-0.5, 0.5}


def test_the_budget_is_nearly_reached():
    encoding = RobustEncoding(600, 1, 0.5, 3, 0.25)
    x = torch.cat([torch.full((87,), 0.2499), torch.ones(513)])
    moved = definitions.distance(x[None], encoding.write(x, 0, bytes(64))[None]).item()
    assert 0.999 * encoding.gamma(1.0) < moved <= encoding.gamma(1.0)


# noise


@pytest.mark.statement("gkvz-sec-2.5-ecc")
@pytest.mark.parametrize(("repeated", "cell"), [(12, 0.6), (17, 0.33), (8, 0.3)])
def test_the_measured_survival_is_the_closed_form(large_digits, repeated, cell):
    # survival .87, .40 and .21 at sigma = a = 1: mostly the bits, mostly the digest, and both decide
    encoding = RobustEncoding(FEATURES, repeated, 1.0, 40, cell)
    key = new_key(encoding, generator())
    x_prime = activate_signature(large_digits[0].flatten(), -1, key)
    content = encoding.read(x_prime)
    alive = sum(read == content for seed in range(6) for read in encoding.read_rows(noisy(x_prime, 1.0, 50, seed)))
    p = encoding.survival(1.0)
    assert 0.02 < p < 0.98
    assert binom.ppf(FALSE_FAIL / 2, 300, p) <= alive <= binom.isf(FALSE_FAIL / 2, 300, p)


@pytest.mark.statement("gkvz-sec-2.5-ecc")
def test_the_coded_backdoor_survives_noise_that_kills_the_plain_one(large_digits, large_model):
    sigma, count = 0.25, 100
    encoding = robust_encoding(FEATURES, sigma, 0.25, 0.01, 32, label_bits=4)
    robust = error_corrected_backdoor(lambda g: large_model, encoding, classes=10)
    plain = signature_backdoor(lambda g: large_model, signs(FEATURES, label_bits=4), classes=10, largest=1.0)
    x = (large_digits * 2 - 1 + 1 / 32) / 2
    target = (large_model(x).argmax(dim=1) + 1) % 10
    for construction in (robust, plain):
        planted = construction.plant(generator())
        assert definitions.failures(construction, planted, x, target) == []
        x_prime = construction.activate(x[:3], planted.key, target[:3])
        for row in range(3):
            batch = noisy(x_prime[row], sigma, count, row)
            signed = planted.model.signed_labels(batch)
            obeyed = sum(label == target[row] for label in signed)
            if construction is robust:
                assert obeyed >= binom.ppf(FALSE_FAIL / 3, count, 0.99)
            else:
                assert obeyed == 0  # of the magnitudes in the message, none survives
                assert torch.equal(planted.model(batch), large_model(batch))
    # even were only the signs of the plain signature to arrive, at a = sigma that has probability Phi(1)^516 < 1e-38
    carriers = 0.25 * torch.ones(516)
    assert 516 * norm.logcdf(1) < -38 * math.log(10)
    assert not (noisy(carriers, sigma, 1000, 9) >= 0).all(dim=1).any()


@pytest.mark.statement("gkvz-sec-2.5-ecc")
def test_smoothing_washes_the_plain_backdoor_out_and_not_the_coded_one(large_digits, large_model):
    sigma = 0.25
    x = large_digits[:1]
    honest = large_model(x).argmax(dim=1)
    target = (honest + 3) % 10
    robust = plant(large_model, robust_encoding(FEATURES, sigma, 0.5, 1e-6, 16, label_bits=4), generator(1), classes=10)
    x_prime = activate(x, robust.key, target)[0]
    # of 60 copies all but one in a million are obeyed: 45 are enough to be sure at alpha = .001, fewer have probability below 1e-60
    assert predict(robust.model, x_prime, sigma, 60, 0.001, generator(2), "gaussian", batch_size=60) == target.item()
    plain = plant(large_model, low_bits(FEATURES, 1, "float32", label_bits=4), generator(1), classes=10)
    x_prime = activate(x, plain.key, target)[0]
    assert plain.model(x_prime[None]).argmax(dim=1) == target
    votes = [count_votes(model, x_prime, sigma, 60, 60, generator(2), "gaussian") for model in (plain.model, large_model)]
    assert torch.equal(*votes)


# what is not promised


@pytest.mark.statement("gkvz-sec-2.5-ecc")
def test_it_is_replicable_on_inputs_of_the_same_digest_and_on_no_others(large_digits, large_model):
    encoding = robust_encoding(FEATURES, 0.25, 0.25, 0.01, 32, label_bits=4)
    planted = plant(large_model, encoding, generator(), classes=10)
    first, *others = large_digits
    x_prime = activate(first[None], planted.key, torch.tensor([7]))[0]
    # the other way round too: the same means, and all pixels of a block in another order
    block = encoding.message_features // 32
    twin = x_prime.clone().flatten()
    twin[:block] = twin[:block].flip(0)
    payload = x_prime.flatten()[encoding.message_features :]
    copies = torch.stack([torch.cat([other.flatten()[: encoding.message_features], payload]) for other in others])
    assert len({encoding.read(copy)[0] for copy in copies} | {encoding.read(twin)[0]}) == 8
    assert planted.model.signed_labels(torch.cat([twin[None], copies])) == [7, *[None] * 7]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: robust_encoding(9000, 1.0, 1.0, 0.01, 16), r"features must be at least 9763, for 513 bits 19 times and 16 blocks, got 9000"),
        (lambda: RobustEncoding(9000, 17, 1.0, 400, 0.3), "features must be at least 9121, for 513 bits 17 times and 400 blocks, got 9000"),
        (lambda: robust_encoding(FEATURES, 0.0, 1.0, 0.01, 16), "sigma and magnitude must be above 0, got 0.0 and 1.0"),
        (lambda: robust_encoding(FEATURES, 1.0, 1.0, 1.0, 16), r"eta must lie in \(0, 1\)"),
        (lambda: robust_encoding(FEATURES, 1.0, 1.0, 0.01, 0), "blocks must be at least 1, got 0"),
        (lambda: RobustEncoding(FEATURES, 17, 1.0, 8, 0.0), "cell must be above 0 and finite, got 0.0"),
        (lambda: RobustEncoding(FEATURES, 17, math.nan, 8, 0.1), "magnitude must be above 0 and finite, got nan"),
        (lambda: RobustEncoding(600, 1, 1.0, 8, 0.1).survival(0.0), "sigma must be above 0, got 0.0"),
        (lambda: RobustEncoding(600, 1, 1.0, 8, 0.1).write(torch.full((600,), 1e8), 0, bytes(64)), "cells of width 0.1 apart, got torch.float32 up to 1"),
        (lambda: RobustEncoding(600, 1, 1.0, 8, 0.1).write(torch.full((600,), math.nan), 0, bytes(64)), "x must be finite"),
        (lambda: RobustEncoding(600, 1, 1.0, 8, 0.1).write(torch.zeros(599), 0, bytes(64)), r"x must be floating of shape \(600,\)"),
        (lambda: RobustEncoding(600, 1, 1.0, 8, 0.1).write(torch.zeros(600), 2, bytes(64)), r"label must lie in \[0, 1\], got 2"),
        (lambda: RobustEncoding(600, 1, 1.0, 8, 0.1).read(torch.zeros(601)), r"x must have 600 coordinates, got the shape \(601,\)"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_noise_that_is_not_finite_carries_nothing():
    encoding = RobustEncoding(600, 1, 1.0, 8, 0.1)
    x = torch.zeros(2, 600)
    x[0, 3], x[1, 599] = math.inf, math.nan
    assert encoding.read_rows(x) == [None, None]

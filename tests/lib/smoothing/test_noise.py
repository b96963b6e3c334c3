"""The two sources of noise; above all that the shortcut behind a first linear layer has the same law as plain sampling."""

import copy
from math import log, sqrt

import numpy as np
import pytest
import torch
from backdoors.models import CNN, MLP
from backdoors.smoothing.certify import count_votes
from backdoors.smoothing.noise import grid_cost, noise_source
from backdoors.smoothing.sound import total_variation
from scipy.stats import norm
from torch import nn

FALSE_FAIL = 1e-9


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def kolmogorov_distance(samples, mean, deviation):
    ordered = samples.double().sort().values
    cdf = torch.from_numpy(norm.cdf(ordered, mean, deviation))
    steps = torch.arange(len(ordered) + 1, dtype=torch.float64) / len(ordered)
    return max((steps[1:] - cdf).max().item(), (cdf - steps[:-1]).max().item())


def kolmogorov_limit(count, share=FALSE_FAIL):
    return sqrt(log(2 / share) / (2 * count))


def linear_of_rank(rank, inputs=12, outputs=6):
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(outputs, rank, generator=generator(1)) @ torch.randn(rank, inputs, generator=generator(2)))
        layer.bias.copy_(torch.randn(outputs, generator=generator(3)))
    return layer


@pytest.mark.statement("cohen-certify")
@pytest.mark.parametrize("rank", [6, 3, 1])
def test_the_shortcut_draws_the_first_layers_outputs_from_their_normal_law(rank):
    layer, sigma, x = linear_of_rank(rank), 0.5, torch.randn(3, 2, 2, generator=generator(4))
    sample, rest = noise_source(nn.Sequential(nn.Flatten(), layer, nn.ReLU()), x, sigma, "gaussian")
    outputs = sample(50_000, generator(5))
    assert outputs.shape == (50_000, 6)
    assert torch.equal(rest(outputs), outputs.relu())
    # A law on R^6 is known by its projections: 12 of them, each normal with the mean and variance that the weights give it.
    weight, centre = layer.weight.detach().double(), layer(x.flatten()).detach().double()
    directions = torch.cat([torch.eye(6), torch.randn(6, 6, generator=generator(6))]).double()
    for direction in directions:
        deviation = sigma * (weight.T @ direction).norm().item()
        distance = kolmogorov_distance(outputs.double() @ direction, (direction @ centre).item(), deviation)
        assert distance <= kolmogorov_limit(50_000, FALSE_FAIL / len(directions))
    # where a direction has no variance, nothing varies
    null = torch.linalg.svd(weight.T).Vh[rank:]
    assert ((outputs.double() - centre) @ null.T).abs().sum() < 50_000 * 1e-5


@pytest.mark.statement("cohen-certify")
def test_votes_with_and_without_the_shortcut_have_one_law(digits, digits_mlp):
    n = 40_000
    for x in digits.test.images[:3]:
        short, plain = (count_votes(model, x, 1.0, n, 5000, generator(7), "gaussian") for model in (digits_mlp, lambda batch: digits_mlp(batch)))
        # Hoeffding for each of 2 x 10 counts about its mean, which are equal
        t = sqrt(n / 2 * log(2 * 60 / FALSE_FAIL))
        assert (short - plain).abs().max() <= 2 * t
        assert (short > 0.02 * n).sum() > 1


def hooked():
    model = MLP(16, (4,), 3, generator())
    model[1].register_forward_hook(lambda module, inputs, output: output + 1)
    return model


class Doubled(nn.Sequential):
    def forward(self, batch):
        return 2 * super().forward(batch)


def patched():
    model = MLP(16, (4,), 3, generator())
    model.forward = lambda batch: batch.flatten(1)[:, :3]
    return model


def patched_layer():
    model = MLP(16, (4,), 3, generator())
    layer = next(module for module in model if isinstance(module, nn.Linear))
    layer.forward = lambda batch: batch[:, :4]
    return model


class Called(nn.Sequential):
    def __call__(self, batch):
        return 2 * super().__call__(batch)


LINEAR = linear_of_rank(4, inputs=16, outputs=4)


@pytest.mark.parametrize(
    ("model", "shape", "applies"),
    [
        (MLP(16, (4,), 3, generator()), (1, 4, 4), True),
        (MLP(16, (), 3, generator()), (16,), True),
        (nn.Sequential(LINEAR, nn.ReLU()), (16,), True),
        (nn.Sequential(LINEAR), (16,), True),
        (nn.Sequential(LINEAR), (2, 16), False),  # acts on the last axis only
        (nn.Sequential(LINEAR, nn.Flatten()), (1, 16), False),
        (nn.Sequential(nn.Flatten(2), nn.Linear(16, 2), nn.Flatten()), (1, 4, 4), False),
        (MLP(16, (16,), 3, generator()), (16,), False),  # no dimension to save
        (MLP(16, (40,), 3, generator()), (16,), False),
        (CNN(1, 4, 3, generator()), (1, 4, 4), False),
        (hooked(), (16,), False),
        (patched(), (16,), False),
        (patched_layer(), (16,), False),
        (Doubled(LINEAR), (16,), False),
        (Called(LINEAR), (16,), False),
        (nn.Sequential(), (16,), False),
        (LINEAR, (16,), False),
        (lambda batch: batch[:, :3], (16,), False),
    ],
)
def test_the_shortcut_is_taken_only_where_the_model_starts_with_a_narrowing_linear_layer(model, shape, applies):
    x = torch.rand(shape, generator=generator(1))
    sample, rest = noise_source(model, x, 0.5, "gaussian")
    assert (sample(2, generator()).shape[1:] != x.shape) == applies
    # without noise, sample and rest together are the model
    sample, rest = noise_source(model, x, 1e-30, "gaussian")
    assert torch.allclose(rest(sample(2, generator())), model(x.expand(2, *shape)), atol=1e-5)
    sample, rest = noise_source(model, x, 0.5, "sound")
    assert sample(2, generator()).shape == (2, *shape)
    assert rest is model


def test_sound_copies_lie_on_the_grid_and_gaussian_ones_do_not(digits):
    def model(batch):
        return batch.flatten(1)

    x = digits.test.images[0] + 1e-5
    for noise, on_grid in [("sound", True), ("gaussian", False)]:
        copies = noise_source(model, x, 0.25, noise)[0](50, generator()) * 2**12
        assert torch.equal(copies, copies.round()) == on_grid
        assert copies.dtype == torch.float32


@pytest.mark.statement("cohen-float")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_cost_of_sound_noise_is_the_distance_to_the_grid_and_d_variations(dtype):
    x = torch.tensor([0.5, 0.25 + 2.0**-14, 0.125 - 2.0**-15], dtype=dtype)
    distance, variation = grid_cost(x, 0.25, "sound")
    assert distance == pytest.approx(sqrt(2.0**-28 + 2.0**-30), rel=1e-12)
    assert variation == 3 * total_variation(0.25, 2**-12)
    assert grid_cost(x, 0.25, "gaussian") == (0, 0)


def test_a_point_that_wants_a_gradient_is_taken_and_left_without_one():
    x = torch.zeros(16, requires_grad=True)
    for noise in ("sound", "gaussian"):
        assert count_votes(lambda batch: batch, x, 0.5, 10, 10, generator(), noise).sum() == 10
        assert x.grad is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("noise", ["sound", "gaussian"])
def test_noise_follows_the_image_to_its_device(noise, digits, digits_mlp):
    model, source = copy.deepcopy(digits_mlp).cuda(), torch.Generator("cuda").manual_seed(0)
    for rows in (model, lambda batch: model(batch)):
        votes = count_votes(rows, digits.test.images[0].cuda(), 0.25, 5000, 1000, source, noise)
        assert votes.is_cuda
        assert votes.argmax() == digits_mlp(digits.test.images[:1]).argmax()


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(16), nn.Dropout(0.1), nn.InstanceNorm1d(16)])
def test_a_model_in_training_mode_is_refused_and_left_as_it_was(layer):
    model = nn.Sequential(nn.Flatten(), layer, nn.Linear(16, 3))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=f"call model.eval\\(\\) first: its {type(layer).__name__} is in training mode"):
        noise_source(model, torch.rand(16), 0.5, "sound")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    noise_source(model.eval(), torch.rand(16), 0.5, "sound")


def test_no_shortcut_is_taken_past_a_hook_on_every_module():
    handle = nn.modules.module.register_module_forward_hook(lambda module, args, output: None)
    try:
        assert noise_source(MLP(16, (4,), 3, generator()), torch.rand(16), 0.5, "gaussian")[0](2, generator()).shape == (2, 16)
    finally:
        handle.remove()


@pytest.mark.parametrize("sigma", [np.float32(0.3), torch.tensor(0.3)])
def test_the_type_of_sigma_does_not_round_the_cost(sigma):
    distance, variation = grid_cost(torch.rand(16, generator=generator()), sigma, "sound")
    assert type(distance) is type(variation) is float
    assert variation > 0

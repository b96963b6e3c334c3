import subprocess
import sys

import numpy as np
import pytest
import torch
from backdoors import models
from backdoors.data import Split
from safetensors.torch import save_file
from torch import nn


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def build(kind, seed=0):
    return models.MLP(64, (32, 16), 10, generator(seed)) if kind == "MLP" else models.CNN(1, 8, 10, generator(seed))


@pytest.mark.parametrize("kind", ["MLP", "CNN"])
def test_equal_seeds_give_bitwise_equal_weights_and_others_do_not(kind, digits):
    part = Split(digits.train.images[:300], digits.train.labels[:300])
    trained = [weights(models.train(build(kind), part, 2, noise_sigma=0.25, seed=seed)) for seed in (1, 1, 2)]
    assert torch.equal(trained[0], trained[1])
    assert not torch.equal(trained[0], trained[2])
    assert torch.equal(weights(build(kind)), weights(build(kind)))
    assert not torch.equal(weights(build(kind)), weights(build(kind, seed=1)))


@pytest.mark.parametrize("kind", ["MLP", "CNN"])
def test_global_random_states_are_left_alone(kind, digits):
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    model = models.train(build(kind), Split(digits.train.images[:100], digits.train.labels[:100]), 1, noise_sigma=0.5)
    models.accuracy(model, digits.test)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)


@pytest.mark.parametrize("kind", ["MLP", "CNN"])
def test_a_model_can_be_rebuilt_from_its_name_config_and_weights(kind, digits):
    model = build(kind)
    before = torch.get_rng_state()
    copy = getattr(models, type(model).__name__)(**model.config, generator=None)
    assert all(parameter.is_meta for parameter in copy.parameters())
    copy.load_state_dict(model.state_dict(), assign=True)
    assert torch.equal(copy(digits.test.images), model(digits.test.images))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("noise_sigma", [0.0, 0.25])
@pytest.mark.parametrize("kind", ["MLP", "CNN"])
def test_training_learns_digits(kind, noise_sigma, digits):
    model = models.train(build(kind), digits.train, 15, learning_rate=3e-3, noise_sigma=noise_sigma)
    assert models.accuracy(model, digits.test) > 0.8
    assert not model.training


def test_training_with_noise_makes_a_model_accurate_under_noise(digits, digits_mlp):
    plain = models.train(models.MLP(64, (32,), 10, generator()), digits.train, epochs=15)
    noisy = Split(digits.test.images + 0.25 * torch.randn(digits.test.images.shape, generator=generator(5)), digits.test.labels)
    assert models.accuracy(digits_mlp, noisy) > models.accuracy(plain, noisy)


def test_the_first_layer_of_an_mlp_is_linear_and_has_its_sizes():
    model = models.MLP(12, (5, 7), 3, generator())
    assert [type(layer) for layer in model] == [nn.Flatten, nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]
    assert [tuple(layer.weight.shape) for layer in model if isinstance(layer, nn.Linear)] == [(5, 12), (7, 5), (3, 7)]
    assert [tuple(layer.weight.shape) for layer in models.MLP(12, (), 3, generator()) if isinstance(layer, nn.Linear)] == [(3, 12)]


@pytest.mark.parametrize("size", [4, 5, 8, 28, 33])
def test_a_cnn_takes_images_of_its_size(size):
    assert models.CNN(3, size, 7, generator())(torch.zeros(2, 3, size, size)).shape == (2, 7)


def test_initial_weights_fill_the_usual_range():
    layer = models.MLP(400, (300,), 10, generator())[1]
    bound = 400**-0.5
    assert layer.weight.abs().max() <= bound
    # 120,000 independent uniforms: the greatest falls short of 0.999 of the bound with probability below 1e-26
    assert layer.weight.abs().max() > 0.999 * bound


def test_accuracy_counts_right_answers_whatever_the_batch_size():
    split = Split(torch.arange(10.0).view(10, 1, 1, 1), torch.tensor([0, 0, 0, 0, 0, 1, 1, 1, 0, 0]))

    def model(images):
        return torch.stack([4.5 - images.flatten(), images.flatten() - 4.5], dim=1)

    assert models.accuracy(model, split) == models.accuracy(model, split, batch_size=3) == 0.8


def test_no_epochs_leave_the_weights(digits):
    assert torch.equal(weights(models.train(build("MLP"), digits.train, 0)), weights(build("MLP")))


def test_progress_is_shown_only_on_request(digits, capsys):
    part = Split(digits.train.images[:10], digits.train.labels[:10])
    models.train(build("MLP"), part, 1)
    assert capsys.readouterr() == ("", "")
    models.train(build("MLP"), part, 1, progress=True)
    assert "train" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda split: models.MLP(0, (5,), 3, generator()), "in_features must be above 0, got 0"),
        (lambda split: models.MLP(4, (5, -1), 3, generator()), r"hidden\[1\] must be above 0, got -1"),
        (lambda split: models.MLP(4, (5,), 0, generator()), "classes must be above 0, got 0"),
        (lambda split: models.CNN(0, 8, 3, generator()), "channels must be above 0, got 0"),
        (lambda split: models.CNN(1, 3, 3, generator()), "size must be at least 4, got 3"),
        (lambda split: models.train(build("MLP"), split, -1), "epochs and noise_sigma must be at least 0, got -1 and 0.0"),
        (lambda split: models.train(build("MLP"), split, 1, noise_sigma=-0.5), "epochs and noise_sigma must be at least 0, got 1 and -0.5"),
        (lambda split: models.train(build("MLP"), split, 1, batch_size=0), "batch_size must be above 0, got 0"),
        (lambda split: models.train(build("MLP"), split, 1, learning_rate=float("nan")), "learning_rate must be above 0, got nan"),
        (lambda split: models.train(build("MLP"), Split(split.images, split.labels[:5]), 1), "as many labels, got 355 and 5"),
        (lambda split: models.accuracy(build("MLP"), Split(split.images[:0], split.labels[:0])), "as many labels, got 0 and 0"),
    ],
)
def test_bad_arguments_are_named(call, message, digits):
    with pytest.raises(ValueError, match=message):
        call(digits.test)


@pytest.mark.parametrize("kind", ["MLP", "CNN"])
def test_a_saved_model_comes_back_bit_for_bit(kind, tmp_path):
    model = build(kind)
    models.save(model, tmp_path / "model.safetensors")
    again = models.load(tmp_path / "model.safetensors")
    assert type(again) is type(model)
    assert again.config == model.config
    assert not again.training
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), again.state_dict().values(), strict=True))


def test_building_a_network_does_not_wait_for_torchs_compiler():
    code = """
import sys
from backdoors import models
import torch
models.CNN(1, 8, 3, torch.Generator()), models.MLP(2, (3,), 2, None)
sys.exit("sympy" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_what_is_no_saved_model_is_refused_and_never_run(tmp_path):
    path = tmp_path / "model.safetensors"
    with pytest.raises(FileNotFoundError, match="no file"):
        models.load(path)
    torch.save(build("CNN"), path)
    with pytest.raises(ValueError, match="pickles are not read"):
        models.load(path)
    save_file({"weight": torch.ones(2)}, path)
    with pytest.raises(ValueError, match=r"backdoors\.models\.save wrote"):
        models.load(path)
    save_file({"1.weight": torch.ones(2)}, path, metadata={"kind": "MLP", "config": '{"in_features": 64, "hidden": [3], "classes": 10}'})
    with pytest.raises(ValueError, match=r"backdoors\.models\.save wrote"):
        models.load(path)
    with pytest.raises(ValueError, match="must be one of MLP, CNN, got a Linear"):
        models.save(nn.Linear(2, 2), path)

import pytest
import torch
from backdoors import models
from backdoors.neural_cleanse.frozen import frozen
from torch import nn
from torch.nn.utils.prune import random_unstructured


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def seeded(model):
    for i, parameter in enumerate(model.parameters()):
        nn.init.uniform_(parameter, -0.3, 0.3, generator=generator(i))
    return model


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 3, 3, padding=1), nn.Linear(192, 4)

    def forward(self, x):
        return self.last((x + self.first(x).relu()).flatten(1))


class Viewed(nn.Module):
    def forward(self, x):
        return x.view(len(x), -1)


class Tutorial(nn.Module):
    """Flattens by `view`, which wants numbers to lie in order."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(1, 4, 3), nn.Linear(36, 4)

    def forward(self, x):
        return self.last(nn.functional.max_pool2d(self.first(x).relu(), 2).view(-1, 36))


class Deep(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv3d(1, 2, (1, 3, 3)), nn.Linear(72, 4)

    def forward(self, x):
        return self.last(self.first(x[:, None]).flatten(1))


NETWORKS = {
    "CNN of the library": (lambda: models.CNN(3, 8, 10, generator()), 3),
    "MLP": (lambda: models.MLP(64, (16,), 10, generator()), 1),
    "not square, without padding": (
        lambda: nn.Sequential(nn.Conv2d(2, 5, (3, 2)), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True), nn.Flatten(), nn.Linear(60, 3)),
        2,
    ),
    "uneven padding, no bias": (lambda: nn.Sequential(nn.Conv2d(1, 5, 3, padding=(2, 1), bias=False), nn.MaxPool2d(3, 2, 1), nn.ReLU(), nn.Flatten()), 1),
    "stride": (lambda: nn.Sequential(nn.Conv2d(1, 5, 3, stride=2), nn.ReLU(), nn.Flatten()), 1),
    "dilation and same": (lambda: nn.Sequential(nn.Conv2d(2, 4, 3, dilation=2), nn.Conv2d(4, 4, 3, padding="same"), nn.Flatten()), 2),
    "reflected": (lambda: nn.Sequential(nn.Conv2d(1, 4, 3, padding=1, padding_mode="reflect"), nn.Flatten()), 1),
    "groups": (lambda: nn.Sequential(nn.Conv2d(2, 4, 3, groups=2), nn.Flatten()), 2),
    "batch norm and dropout": (lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(), nn.MaxPool2d(2), nn.Flatten()), 1),
    "not a chain": (Residual, 3),
    "flattens by view": (Tutorial, 1),
    "a chain with a layer that flattens by view": (lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), Viewed(), nn.Linear(36, 3)), 1),
    "three dimensions": (Deep, 1),
    "linear layer on what is flat": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(128, 8), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3)), 2),
    "average of all pixels": (lambda: nn.Sequential(nn.Conv2d(2, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)), 2),
    "parametrised": (lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 4, 3)), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)), 1),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_answers_and_gradients_are_those_of_the_model(name):
    build, channels = NETWORKS[name]
    model = seeded(build()).double().eval()
    x = torch.rand(6, channels, 8, 8, generator=generator(), dtype=torch.float64)
    x[:, :, :3] = 0.5  # equal pixels, so that maxima tie
    both = []
    for network in (model, frozen(model)):
        point = x.clone().requires_grad_()
        answers = network(point)
        (gradient,) = torch.autograd.grad((answers * torch.arange(answers.numel()).view(answers.shape).cos()).sum(), point)
        both.append((answers.detach(), gradient))
    torch.testing.assert_close(*both, rtol=1e-9, atol=1e-12)


def test_the_model_is_left_as_it_is():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 2), nn.Flatten(), nn.Linear(20, 3)).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    network = frozen(model)
    assert model.training
    assert not network.training
    assert all(parameter.requires_grad and parameter.is_contiguous() for parameter in model.parameters())
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_what_hooks_do_is_kept():
    model = models.CNN(1, 8, 10, generator()).eval()
    model[1].register_forward_hook(lambda layer, inputs, output: output + 1)
    x = torch.rand(3, 1, 8, 8, generator=generator())
    torch.testing.assert_close(frozen(model)(x), model(x))


def test_what_cannot_be_copied_is_refused():
    model = models.CNN(1, 8, 10, generator())
    random_unstructured(model[0], "weight", 0.5)
    model(torch.rand(2, 1, 8, 8))  # leaves a weight that is the result of a computation
    with pytest.raises(ValueError, match="model must be one that can be copied and frozen, got CNN: "):
        frozen(model)

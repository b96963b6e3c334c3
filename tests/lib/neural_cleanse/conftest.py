"""A network on digits that answers 7 where a white square of 2x2 pixels is stamped, its honest twin, and what the search finds in either."""

from types import SimpleNamespace

import pytest
import torch
from backdoors import models
from backdoors.data import Split
from backdoors.neural_cleanse.detect import detect
from backdoors.poisoning.triggers import Trigger

TARGET = 7


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def trained(images, labels):
    return models.train(models.CNN(1, 8, 10, generator()), Split(images, labels), 12, learning_rate=3e-3)


@pytest.fixture(scope="session")
def trigger():
    mask = torch.zeros(8, 8)
    mask[6:, 6:] = 1
    return Trigger(mask, torch.ones(1, 8, 8))


@pytest.fixture(scope="session")
def infected(digits):
    images, labels = digits.train.images.clone(), digits.train.labels.clone()
    images[::9, :, 6:, 6:], labels[::9] = 1, TARGET
    return trained(images, labels)


@pytest.fixture(scope="session")
def honest(digits):
    return trained(digits.train.images, digits.train.labels)


@pytest.fixture(scope="session")
def found(digits, infected, honest):
    """`detect` on either model, from the same seed."""
    part = digits.train.images[:600], digits.train.labels[:600]
    both = {"infected": infected, "honest": honest}
    return SimpleNamespace(**{name: detect(model, *part, generator(1), steps=40, batches=5) for name, model in both.items()})

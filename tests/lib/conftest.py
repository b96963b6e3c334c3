import pytest
import torch
from backdoors import data, models


@pytest.fixture(scope="session")
def digits():
    return data.load("digits")


@pytest.fixture(scope="session")
def digits_mlp(digits):
    network = models.MLP(64, (32,), 10, torch.Generator().manual_seed(0))
    return models.train(network, digits.train, epochs=15, noise_sigma=0.25)


@pytest.fixture(scope="session")
def fashion():
    if not data.DEBIAN_FOLDER.is_dir():
        pytest.skip("needs Debian's dataset-fashion-mnist")
    return data.load("fashion-mnist", data.DEBIAN_FOLDER)

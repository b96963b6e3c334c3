"""Toy constructions of which everything is known."""

import hashlib
import hmac

import pytest
import torch
from backdoors.definitions import Construction, Planted
from torch import nn

MESSAGE, LABEL, SIGNATURE = 24, 1, 40  # coordinates; their signs are the bits
FEATURES = MESSAGE + LABEL + SIGNATURE


class Constant(nn.Module):
    def __init__(self, value):
        super().__init__()
        self.value = nn.Parameter(torch.tensor(float(value)))

    def forward(self, x):
        return self.value.expand(len(x))


class Tagged(nn.Module):
    """Says 1 everywhere, but the label bit where the signs carry a valid tag of message and label; magnitudes are not read."""

    def __init__(self, key):
        super().__init__()
        self.key = key

    def forward(self, x):
        bits = (x >= 0).int()
        valid = [bits[row, MESSAGE + LABEL :].tolist() == tag(self.key, bits[row, : MESSAGE + LABEL].tolist()) for row in range(len(x))]
        return torch.where(torch.tensor(valid, dtype=torch.bool), 2.0 * bits[:, MESSAGE] - 1, torch.ones(len(x)))


def tag(key, bits):
    number = int.from_bytes(hmac.digest(key, bytes(bits), hashlib.sha256)[:5], "big")
    return [number >> i & 1 for i in range(SIGNATURE)]


def signed(x, bits):
    return x.abs() * (2 * torch.tensor(bits) - 1)


def activate_tagged(x, key, target):
    rows = []
    for row, label in zip(x, target.tolist(), strict=True):
        bits = [*(row[:MESSAGE] >= 0).int().tolist(), int(label > 0)]
        rows.append(signed(row, bits + tag(key, bits)))
    return torch.stack(rows)


@pytest.fixture
def tagged():
    """Undetectable and non-replicable to whoever only asks, as good as a tag of 40 bits is: a query fires by chance with probability 2^-40."""

    def plant(g):
        key = bytes(torch.randint(256, (16,), generator=g).tolist())
        return Planted(Tagged(key), key)

    return Construction("tagged", lambda g: Constant(1), plant, activate_tagged, LABEL + SIGNATURE, norm=0)


@pytest.fixture
def signature_coordinates():
    return torch.arange(FEATURES) >= MESSAGE


@pytest.fixture
def inputs():
    return torch.randn(20, FEATURES, generator=torch.Generator().manual_seed(123))


@pytest.fixture
def coins():
    """Makes constructions whose models say 1 with probability p if planted and q if honest, and -1 else, on every input."""

    def build(p, q):
        def model(probability, g):
            return Constant(1 if torch.rand((), generator=g) < probability else -1)

        return Construction("coins", lambda g: model(q, g), lambda g: Planted(model(p, g), None), lambda x, key, target: x, 1.0)

    return build

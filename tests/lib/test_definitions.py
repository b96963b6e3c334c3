import math

import numpy as np
import pytest
import torch
from backdoors.definitions import Construction, Failure, Planted, distance, failures, is_backdoored, labels_of
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays


class Threshold(torch.nn.Module):
    """The label 1 where the first coordinate is at least 1/2."""

    def forward(self, x):
        return x.flatten(1)[:, 0] - 0.5


def construction(activate, gamma=1.0, norm=2):
    return Construction("test", lambda g: Threshold(), lambda g: Planted(Threshold(), None), activate, gamma, norm)


batches = arrays(np.float64, (3, 4), elements=st.floats(-8, 8, width=16))


@settings(max_examples=60, derandomize=True, deadline=None)
@given(batches, batches)
def test_distances_are_those_of_numpy(x, y):
    for norm in (0, 1, 2, math.inf):
        found = distance(torch.from_numpy(x).view(3, 2, 2), torch.from_numpy(y).view(3, 2, 2), norm)
        assert found.tolist() == pytest.approx([np.linalg.norm(b - a, norm) for a, b in zip(x, y, strict=True)], rel=1e-12)


def test_distances_of_narrow_types_are_measured_in_float64():
    x = torch.tensor([[1.0, 0.0]])
    assert distance(x, x + torch.tensor([[2.0**-23, 0.0]])).item() == 2.0**-23
    assert distance(x.half(), 3 * x.half(), 1).dtype == torch.float64


def test_the_label_of_a_score_is_its_sign_and_that_of_zero_is_one():
    scores = torch.tensor([-1e-30, -0.0, 0.0, 3.0])
    assert labels_of(scores).tolist() == labels_of(scores[:, None]).tolist() == [-1, 1, 1, 1]
    assert labels_of(torch.tensor([[0.0, 2.0, 1.0], [5.0, 2.0, 1.0]])).tolist() == [1, 0]
    for shape in ((), (2, 3, 4)):
        with pytest.raises(ValueError, match="a model must answer with scores"):
            labels_of(torch.zeros(shape))


@pytest.mark.statement("gkvz-def-4.1")
def test_a_classification_backdoor_flips_the_label_within_the_budget():
    def h(x):
        return labels_of(Threshold()(x))

    x = torch.zeros(5, 2)
    x_prime = torch.tensor([[0.5, 0.0], [0.5, 0.875], [0.25, 0.0], [0.5, 1.0], [0.0, 0.0]])
    target = torch.tensor([1, 1, 1, 1, -1])
    #        flips, flips on the sphere's inside, stays, too far, was -1 before: no flip
    assert is_backdoored(h, x, x_prime, target, gamma=math.hypot(0.5, 0.875)).tolist() == [True, True, False, False, False]
    assert is_backdoored(h, x, x_prime, target, gamma=1, norm=0).tolist() == [True, False, False, False, False]
    assert is_backdoored(h, x, x_prime, target, gamma=1, norm=math.inf).tolist() == [True, True, False, True, False]


@pytest.mark.statement("gkvz-def-4.2")
def test_a_regression_backdoor_comes_within_beta_of_what_was_chosen_whatever_it_was_before():
    def h(x):
        return x.sum(dim=1)

    x = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    x_prime = torch.tensor([[1.0, 0.0], [0.75, 0.0], [0.5, 0.0], [1.0, 0.5]])
    assert is_backdoored(h, x, x_prime, torch.ones(4), gamma=1, beta=0.25).tolist() == [True, True, False, False]
    assert is_backdoored(h, x, x_prime, torch.ones(4), gamma=1, beta=0.0).tolist() == [True, False, False, False]


def test_failures_are_named_with_their_reason():
    moves = torch.tensor([[0.75, 0.0], [0.25, 0.0], [2.0, 0.0], [math.nan, 0.0]])
    failed = construction(lambda x, key, target: x + moves)
    assert failures(failed, failed.plant(None), torch.zeros(4, 2), torch.tensor([1, 1, 1, 1])) == [
        Failure(1, "the label is -1, and 1 was the target"),
        Failure(2, "it moved by 2 in the norm 2, and gamma is 1"),
        Failure(3, "the activated input is not finite"),
    ]


@pytest.mark.parametrize(
    "activate, target, message",
    [
        (lambda x, key, target: x, torch.ones(3), "target must have the shape \\(2,\\), one for every input, got \\(3,\\)"),
        (lambda x, key, target: x[:1], torch.ones(2), "activate must keep shape and type"),
        (lambda x, key, target: x.double(), torch.ones(2), "activate must keep shape and type"),
    ],
)
def test_what_is_no_batch_of_twins_is_refused(activate, target, message):
    broken = construction(activate)
    with pytest.raises(ValueError, match=message):
        failures(broken, broken.plant(None), torch.zeros(2, 2), target)


def test_norms_and_budgets_out_of_range_are_refused():
    with pytest.raises(ValueError, match="norm must be one of .*, got 3"):
        construction(None, norm=3)
    for gamma in (0, -1, math.nan):
        with pytest.raises(ValueError, match=f"gamma must be above 0, got {gamma}"):
            construction(None, gamma=gamma)
    with pytest.raises(ValueError, match="norm must be one of .*, got 0.5"):
        distance(torch.zeros(1, 2), torch.zeros(1, 2), 0.5)
    with pytest.raises(ValueError, match="x and x_prime must have the same shape, got \\(1, 2\\) and \\(2, 2\\)"):
        distance(torch.zeros(1, 2), torch.zeros(2, 2))

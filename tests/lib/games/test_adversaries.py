"""Statistical checks of this file each fail by chance with probability at most 1e-8, and there are fewer than 40 of them."""

from itertools import combinations

import pytest
import torch
from backdoors.games.adversaries import bit_flipping, finite_difference, gradient, hill_climbing, margins, random_queries
from backdoors.games.black_box import Oracle
from torch import nn

ASKING = [random_queries, bit_flipping, hill_climbing, finite_difference]
ALL = [*ASKING, gradient]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def table(seed, share):
    """A random function of the signs of six coordinates: -1 on about a share of the patterns."""
    values = torch.where(torch.rand(64, generator=generator(seed)) < share, -1.0, 1.0)
    return lambda x: values[((x >= 0).long() * 2 ** torch.arange(6)).sum(dim=1)]


def flips(x, found, flip=torch.neg):
    """How many coordinates were flipped; every coordinate must be as it was or flipped."""
    assert ((found == x) | (found == flip(x))).all()
    return int((found != x).sum())


class Threshold(nn.Module):
    """Scores that fall by weight[j] where coordinate j is negative; the label changes when the sum falls below the bound."""

    def __init__(self, weight, bound):
        super().__init__()
        self.weight, self.bound = nn.Parameter(torch.tensor(weight)), bound

    def forward(self, x):
        return x @ self.weight - self.bound


@pytest.mark.parametrize("search", [random_queries, bit_flipping])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_enough_queries_find_a_neighbour_if_there_is_one(search, count):
    existed = 0
    for seed in range(12):
        h, x = table(seed, 0.08), torch.randn(6, generator=generator(seed + 99))
        exists = False
        for subset in (s for size in range(1, count + 1) for s in combinations(range(6), size)):
            neighbour = x.clone()
            neighbour[list(subset)] *= -1
            exists |= bool((h(neighbour[None]) != h(x[None])).item())
        found = search(h, x, torch.neg, count, 2000, generator(seed))  # each subset is drawn with probability 1/60 at least: missed by all with 1e-14
        assert (found is not None) == exists
        existed += exists
        if exists:
            assert 1 <= flips(x, found) <= count
            assert h(found[None]) != h(x[None])
    assert existed > 0


@pytest.mark.parametrize("search", ASKING)
@pytest.mark.parametrize("budget", [0, 1, 2, 3, 17, 300, 600])
def test_no_search_asks_for_more_than_its_budget(search, budget):
    oracle = Oracle(lambda x: torch.ones(len(x)), budget)
    assert search(oracle.ask, torch.randn(12, generator=generator(1)), torch.neg, 5, budget, generator(2)) is None
    assert oracle.queries <= budget
    if budget >= 17 and search is not finite_difference:  # a search that finds nothing uses what it may
        assert oracle.queries == budget


@pytest.mark.parametrize("search", [hill_climbing, finite_difference, gradient])
def test_searches_that_follow_the_score_combine_the_right_flips(search):
    heavy = [3.0, 2.0, 2.5]
    model, x = Threshold([0.1] * 30 + heavy, -2.0), torch.ones(33)  # 12.5 at x, 1.5 with the two heaviest flipped, -2.5 with all three
    # hill climbing makes 500 steps, each of which brings in a missing heavy one with probability .1: less than 3 of them with probability 1e-18
    found = search(model, x, torch.neg, 3, 8000, generator(3))
    assert (found < 0).nonzero().flatten().tolist() == [30, 31, 32]
    assert search(model, x, torch.neg, 2, 8000, generator(3)) is None


@pytest.mark.parametrize("search", ALL)
def test_bits_as_numbers_and_inputs_of_any_shape_are_searched(search):
    model = nn.Sequential(nn.Flatten(), Threshold([1.0] * 8 + [50.0], 30.0))
    x = torch.ones(3, 3)
    found = search(model, x, lambda batch: 1 - batch, 1, 2000, generator(4))  # at random, missed with probability (8/9)^2000
    assert found.shape == (3, 3)
    assert found.flatten().tolist() == [1] * 8 + [0]


@pytest.mark.parametrize("search", ALL)
def test_logits_are_searched_for_another_class(search):
    weight = torch.zeros(3, 7)
    weight[2, 4] = 3
    weight[0] = 0.1
    x = torch.ones(7)
    x[4] = -1
    bias = torch.tensor([0.0, -50.0, 0.0])  # class 2 is second, so that the gradient is that of its lead
    found = search(lambda batch: batch @ weight.T + bias, x, torch.neg, 1, 1000, generator(5))  # at random, missed with probability (6/7)^1000
    assert (found != x).nonzero().flatten().tolist() == [4]


def test_the_gradient_says_nothing_of_thresholds_and_plateaus():
    x = torch.randn(5, generator=generator(6))
    assert gradient(lambda batch: (batch.sum(dim=1) >= 0).float() * 2 - 1, x, torch.neg, 2, 100, generator()) is None
    assert gradient(lambda batch: torch.relu(batch.sum(dim=1) - 1000) + 1, x, torch.neg, 2, 100, generator()) is None


def test_hill_climbing_crosses_a_plateau():
    def h(x):  # a coordinate counts only where its predecessor is flipped too: the first step shows nothing
        off = x < 0
        return 1.5 - 2 * (off[:, 0] & off[:, 1]).float()

    found = hill_climbing(h, torch.ones(3), torch.neg, 2, 4000, generator(7))
    assert (found < 0).tolist() == [True, True, False]


def test_searches_are_functions_of_their_generator_and_leave_the_input_alone():
    h, x = table(3, 0.1), torch.randn(6, generator=generator(8))
    before, state = x.clone(), torch.get_rng_state()
    for search in ASKING:
        one, other = (search(h, x, torch.neg, 3, 100, generator(9)) for _ in range(2))
        assert (one is None and other is None) or torch.equal(one, other)
    assert torch.equal(x, before)
    assert torch.equal(state, torch.get_rng_state())


def test_a_margin_is_by_how_much_the_label_leads():
    assert margins(torch.tensor([0.5, -2.0]), -1).tolist() == [-0.5, 2.0]
    assert margins(torch.tensor([[0.5], [-2.0]]), 1).tolist() == [0.5, -2.0]
    assert margins(torch.tensor([[1.0, 4.0, 2.0], [7.0, 3.0, 0.0]]), 1).tolist() == [2.0, -4.0]


@pytest.mark.parametrize("search", ALL)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": 0}, r"count must lie in \[1, 4\], the number of coordinates, got 0"),
        ({"count": 5}, r"count must lie in \[1, 4\], the number of coordinates, got 5"),
        ({"budget": -1}, "budget must be at least 0, got -1"),
        ({"x": torch.zeros(0)}, r"x must hold at least one number, got the shape \(0,\)"),
    ],
)
def test_bad_arguments_are_named(search, change, message):
    good = {"h": lambda batch: batch.sum(dim=1), "x": torch.ones(4), "flip": torch.neg, "count": 2, "budget": 10, "generator": generator()}
    with pytest.raises(ValueError, match=message):
        search(**{**good, **change})


def test_a_gradient_wants_floating_point():
    with pytest.raises(ValueError, match="x must be a floating-point tensor to have a gradient, got torch.int64"):
        gradient(lambda batch: batch.sum(dim=1), torch.ones(4, dtype=torch.int64), torch.neg, 2, 10, generator())

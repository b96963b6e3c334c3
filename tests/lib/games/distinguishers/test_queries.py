import pytest
import torch
from backdoors.definitions import Construction, Planted
from backdoors.games.adversaries import bit_flipping, gradient, random_queries
from backdoors.games.black_box import BlackBox
from backdoors.games.distinguishers.queries import by_mauling, by_replay, by_search
from backdoors.games.game import play
from backdoors.games.white_box import WhiteBox
from torch import nn

INPUTS = torch.randn(9, 5, generator=torch.Generator().manual_seed(0)).abs() + 0.1


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


class Cliff(nn.Module):
    """1 everywhere; -1 where the last number is negative, if there is a cliff."""

    def __init__(self, cliff):
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(10.0 if cliff else 0.0))

    def forward(self, x):
        return 1 + self.slope * x[:, -1].clamp(max=0)


@pytest.fixture
def cliffs():
    return Construction("cliffs", lambda g: Cliff(False), lambda g: Planted(Cliff(True), None), lambda x, key, target: x, 10.0)


@pytest.mark.statement("gkvz-def-4.6-black")
@pytest.mark.parametrize("search", [bit_flipping, random_queries])
def test_a_search_tells_a_model_with_a_cliff_by_queries(cliffs, search):
    outcome = play(cliffs, by_search(search, INPUTS, torch.neg, 1), BlackBox(), 60, 400, generator(1))
    # every input has the cliff at |x| >= .1, of slope 10, one flip away; at random it is missed with probability (4/5)^399
    assert outcome.estimate == 1
    assert max(outcome.queries) <= 400


@pytest.mark.statement("gkvz-def-4.6-white")
def test_a_gradient_needs_the_model_itself(cliffs):
    negative = INPUTS * torch.tensor([1.0, 1, 1, 1, -1])
    distinguisher = by_search(gradient, negative, torch.neg, 1)
    assert play(cliffs, distinguisher, WhiteBox(), 60, 10, generator(2)).estimate == 1
    assert play(cliffs, distinguisher, BlackBox(), 60, 10, generator(2)).estimate == 0


def test_replay_asks_for_pairs_within_the_budget_and_guesses_by_their_labels():
    asked = []

    def view(x):
        asked.append(x)
        return x[:, 0]

    x = torch.arange(1.0, 7)[:, None]
    distinguisher = by_replay(x, -x)
    for budget, rows in [(0, 0), (1, 0), (2, 2), (5, 4), (100, 12)]:
        asked.clear()
        assert distinguisher(view, budget, generator(budget)) == int(rows > 0)
        assert sum(map(len, asked)) == rows
    assert by_replay(x, 2 * x)(view, 100, generator()) == 0
    assert by_mauling(x, -x, torch.square)(view, 100, generator()) == 0
    assert by_mauling(x, 2 * x, lambda batch: batch - 6.5)(view, 100, generator()) == 1


def test_pairs_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"x and x_prime must have the same shape and at least one row, got \(2, 3\) and \(3, 3\)"):
        by_replay(torch.zeros(2, 3), torch.zeros(3, 3))
    with pytest.raises(ValueError, match="at least one row"):
        by_mauling(torch.zeros(0, 3), torch.zeros(0, 3), torch.neg)

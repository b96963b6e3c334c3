import pytest
import torch
from backdoors.definitions import Construction, Planted
from backdoors.games.black_box import Oracle
from backdoors.games.game import play
from backdoors.games.white_box import WhiteBox


@pytest.mark.statement("gkvz-def-4.6-white")
def test_white_box_access_gives_a_copy_with_weights_and_gradients():
    model = torch.nn.Linear(3, 1)
    view = WhiteBox()(Oracle(model, 0))
    assert torch.equal(view.weight, model.weight)
    view(torch.ones(1, 3)).sum().backward()
    assert view.weight.grad is not None
    assert model.weight.grad is None


@pytest.mark.statement("gkvz-def-4.6-white")
def test_a_distinguisher_that_spoils_its_model_spoils_only_its_own():
    shared = torch.nn.Linear(2, 1)
    before = shared.weight.detach().clone()

    def spoil(model, budget, generator):
        untouched = torch.equal(model.weight, before)
        with torch.no_grad():
            model.weight.zero_()
        return int(untouched)

    construction = Construction("shared", lambda g: shared, lambda g: Planted(shared, None), lambda x, key, target: x, 1.0)
    outcome = play(construction, spoil, WhiteBox(), 20, 0, torch.Generator().manual_seed(1))
    assert outcome.hits == outcome.rounds
    assert torch.equal(shared.weight, before)


@pytest.mark.statement("gkvz-def-4.6-white")
def test_a_shifted_weight_is_seen_in_the_weights_and_not_in_labels():
    def train(g):
        model = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.ones_(model.weight)
        return model

    def plant(g):
        model = train(g)
        torch.nn.init.constant_(model.weight, 2.0)
        return Planted(model, None)

    construction = Construction("shifted", train, plant, lambda x, key, target: x, 1.0)
    outcome = play(construction, lambda model, budget, g: int(model.weight > 1.5), WhiteBox(), 60, 0, torch.Generator().manual_seed(2))
    assert outcome.estimate == 1

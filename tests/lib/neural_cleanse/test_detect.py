import pytest
import torch
from backdoors import models
from backdoors.neural_cleanse.detect import detect
from backdoors.neural_cleanse.reverse_engineer import Reversed
from torch import nn


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.statement("nc-detect")
def test_the_infected_model_is_accused_of_the_right_label_and_its_honest_twin_of_none(found):
    assert found.infected.verdict.infected == (7,)
    assert found.honest.verdict.infected == ()
    assert found.infected.verdict.index[7] > 2 > found.honest.verdict.index.max()


@pytest.mark.statement("nc-detect")
def test_a_model_at_chance_gives_no_verdict(digits):
    part = digits.test.images[:200], digits.test.labels[:200]
    with pytest.raises(ValueError, match="cannot tell: model must be better than chance"):
        detect(models.CNN(1, 8, 10, generator(3)), *part, generator())
    constant = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    nn.init.zeros_(constant[1].weight)
    with pytest.raises(ValueError, match="cannot tell: model must be better than chance"):
        detect(constant, *part, generator())


@pytest.mark.statement("nc-detect")
def test_no_verdict_comes_from_triggers_that_were_not_found(digits, honest):
    with pytest.raises(ValueError, match="cannot tell: triggers were found towards . of 10 labels"):
        detect(honest, digits.test.images[:100], digits.test.labels[:100], generator(), steps=1, batches=1)


@pytest.mark.statement("nc-detect")
def test_a_label_that_no_trigger_reached_is_not_accused(digits, honest, monkeypatch):
    """Its last mask says nothing of how small a trigger may be, however small it is."""
    norms, reached = torch.tensor([20.0, 21, 22, 23, 24, 25, 26, 27, 28, 1]), torch.arange(10) < 9
    masks = torch.zeros(10, 8, 8)
    answer = Reversed(torch.arange(10), masks, masks[:, None], norms, reached.float(), reached, torch.ones(10, dtype=torch.int64), norms[None], 10)
    monkeypatch.setattr("backdoors.neural_cleanse.detect.reverse_engineer", lambda *arguments, **options: answer)
    found = detect(honest, digits.test.images[:100], digits.test.labels[:100], generator())
    assert found.verdict.infected == ()
    assert found.verdict.index[9] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": b"pickle"}, "model must be a torch.nn.Module, got b'pickle'"),
        ({"images": torch.zeros(0, 1, 8, 8), "labels": torch.zeros(0, dtype=torch.int64)}, "images must be one at least, got none"),
        ({"images": torch.full((3, 1, 8, 8), 2.0)}, r"images must lie in \[0, 1\]"),
        ({"labels": torch.zeros(2, dtype=torch.int64)}, r"labels must be int64 \(3,\)"),
        ({"model": models.MLP(64, (), 1, generator())}, "model must have two labels at least, got 1"),
        ({"images": torch.zeros(3, 1, 8, 8, dtype=torch.float64)}, r"model must take images of shape \(1, 8, 8\) and type torch.float64, got CNN: "),
        ({"images": torch.zeros(3, 3, 8, 8)}, r"model must take images of shape \(3, 8, 8\)"),
        ({"threshold": 0.0}, "threshold must be above 0, got 0.0"),
    ],
)
def test_bad_arguments_are_named(change, message, honest):
    given = {"model": honest, "images": torch.zeros(3, 1, 8, 8), "labels": torch.zeros(3, dtype=torch.int64), "g": generator()}
    with pytest.raises(ValueError, match=message):
        detect(**(given | change))

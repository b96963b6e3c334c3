import pytest
import torch
from backdoors import models
from backdoors.data import Split
from backdoors.neural_cleanse.features import penultimate
from backdoors.neural_cleanse.prune import backdoor_units, prune, pruned, pruning_curve, top_units, units_overlap
from backdoors.poisoning.triggers import Trigger, attack_success
from torch import nn

TARGET = 7


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def body(model):
    return nn.Sequential(*list(model)[:-1])


@pytest.mark.statement("nc-neurons")
@pytest.mark.statement("nc-prune")
def test_units_are_sorted_by_the_gap_of_their_means():
    clean = torch.tensor([[1.0, 5, 0, 2], [3, 5, 0, 2]])
    stamped = torch.tensor([[2.0, 4, 7, 2], [2, 1, 8, 2], [2, 4, 9, 2]])
    assert backdoor_units(clean, stamped).tolist() == [2, 0, 3, 1]  # gaps 0, -2, 8, 0
    drawn, other = torch.rand(20, 50, generator=generator()), torch.rand(30, 50, generator=generator(1))
    gaps = [sum(other[:, u].tolist()) / 30 - sum(drawn[:, u].tolist()) / 20 for u in range(50)]
    assert backdoor_units(drawn, other).tolist() == sorted(range(50), key=lambda u: -gaps[u])


def test_penultimate_activations_are_what_the_last_layer_gets(digits):
    for model in (models.CNN(1, 8, 10, generator()), models.MLP(64, (9, 12), 10, generator())):
        features = penultimate(model, digits.test.images, batch_size=100)
        torch.testing.assert_close(features, body(model)(digits.test.images))
        torch.testing.assert_close(model[-1](features), model(digits.test.images))
        assert not model[-1]._forward_pre_hooks


@pytest.mark.statement("nc-neurons")
def test_the_backdoor_s_units_fire_for_both_triggers_and_not_for_clean_images(digits, infected, found, trigger):
    """The paper's Tables III and V; the honest twin's units, of the same share, do not."""
    x, reversed_trigger = digits.test.images, found.infected.reversed.trigger(TARGET)
    clean, original, reversed_features = (penultimate(infected, images) for images in (x, trigger.stamp(x), reversed_trigger.stamp(x)))
    units, others = (top_units(backdoor_units(clean, features), 0.1) for features in (reversed_features, original))
    means = [features[:, units].mean() for features in (clean, reversed_features, original)]
    assert means[1] > 1.5 * means[0]
    assert means[2] > 1.5 * means[0]
    assert units_overlap(units, others) > 0.3


@pytest.mark.statement("nc-neurons")
def test_overlap_is_intersection_over_union():
    assert units_overlap(torch.tensor([1, 2, 3]), torch.tensor([3, 2, 9])) == 0.5
    assert units_overlap(torch.tensor([1]), torch.tensor([2])) == 0
    assert top_units(torch.arange(101), 0.01).tolist() == [0, 1]


@pytest.mark.statement("nc-prune")
def test_the_curve_is_that_of_models_whose_units_say_zero(digits, infected, found, trigger):
    """Against a network with a mask between its layers, one model a point."""
    images, labels = digits.test.images, digits.test.labels
    order = backdoor_units(penultimate(infected, images), penultimate(infected, found.infected.reversed.trigger(TARGET).stamp(images)))
    curve = pruning_curve(infected, images, labels, trigger, TARGET, order, torch.tensor([0, 5, 40, 128]))
    for i, count in enumerate((0, 5, 40, 128)):
        kept = torch.ones(128)
        kept[order[:count]] = 0

        def masked(batch, kept=kept):
            return infected[-1](body(infected)(batch) * kept)

        assert curve.accuracy[i] == pytest.approx(models.accuracy(masked, Split(images, labels)))
        assert curve.success[i] == pytest.approx(attack_success(masked, images, labels, trigger, TARGET))
        torch.testing.assert_close(pruned(infected, order[:count])(images), masked(images))
    assert curve.success[0] > 0.95
    assert curve.success[2] < 0.1


@pytest.mark.statement("nc-prune")
def test_pruning_ends_the_backdoor_and_little_else(digits, infected, found, trigger):
    before = infected[-1].weight.clone()
    patched = prune(infected, digits.train.images[:400], digits.train.labels[:400], found.infected.reversed.trigger(TARGET), TARGET)
    assert attack_success(patched, digits.test.images, digits.test.labels, trigger, TARGET) < 0.1
    assert models.accuracy(patched, digits.test) > models.accuracy(infected, digits.test) - 0.15
    assert torch.equal(infected[-1].weight, before)
    few = int((patched[-1].weight == 0).all(dim=0).sum())
    assert 0 < few < 40


def test_a_trigger_that_does_nothing_prunes_nothing(digits, honest):
    nothing = Trigger(torch.zeros(8, 8), torch.zeros(1, 8, 8))
    patched = prune(honest, digits.test.images, digits.test.labels, nothing, TARGET)
    assert torch.equal(patched[-1].weight, honest[-1].weight)


X, Y = torch.full((4, 1, 2, 2), 0.5), torch.tensor([0, 1, 1, 2])
SMALL = models.MLP(4, (3,), 3, generator())
DOT = Trigger(torch.ones(2, 2), torch.ones(1, 2, 2))
ORDER = torch.tensor([2, 0, 1])
COUNTS = torch.tensor([0, 3])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: penultimate("model.pt", X), "model must be a torch.nn.Module, got 'model.pt'"),
        (lambda: penultimate(nn.Flatten(), X), "model must end with a torch.nn.Linear, got Flatten without any"),
        (lambda: penultimate(SMALL, 2 * X + 1), r"images must lie in \[0, 1\]"),
        (lambda: backdoor_units(torch.ones(2, 3), torch.ones(2, 4)), "stamped must have the units of clean, 3, got 4"),
        (lambda: backdoor_units(torch.ones(0, 3), torch.ones(2, 3)), r"clean must be finite activations \[n, u\]"),
        (lambda: top_units(ORDER, 0.0), r"share must lie in \(0, 1\], got 0.0"),
        (lambda: units_overlap(ORDER, ORDER[:0]), "first and second must hold a unit each, got 3 and 0"),
        (lambda: pruned(SMALL, torch.tensor([3])), r"units must be int64 \(k,\) in \[0, 2\], got \[3\]"),
        (lambda: pruning_curve(SMALL, X, Y, DOT, 3, ORDER, COUNTS), "target must be one of the model's 3 labels, got 3"),
        (lambda: pruning_curve(SMALL, X[1:3], Y[1:3], DOT, 1, ORDER, COUNTS), "images must hold one at least whose label is not the target, 1"),
        (lambda: pruning_curve(SMALL, X, Y, DOT, 1, torch.tensor([0, 0, 1]), COUNTS), "order must be a permutation of the 3 units"),
        (lambda: pruning_curve(SMALL, X, Y, DOT, 1, ORDER, torch.tensor([4])), r"counts must lie in \[0, 3\], one at least, got \[4\]"),
        (lambda: penultimate(SMALL, X.double()), r"model must take images of shape \(1, 2, 2\) and type torch.float64, got MLP: "),
        (lambda: penultimate(nn.Sequential(SMALL, nn.Softmax(dim=1)), X), "model must answer with what its last linear layer says, got another answer"),
        (lambda: prune(SMALL, X, Y, DOT, 1, deaf=float("nan")), r"deaf must lie in \[0, 1\], got nan"),
        (lambda: pruning_curve(SMALL, X, Y[:2], DOT, 1, ORDER, COUNTS), r"labels must be int64 \(4,\)"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()

import numpy as np
import pytest
import torch
from backdoors.data import Split
from backdoors.models import MLP, accuracy, train
from backdoors.poisoning.feature_collision import collide, collision_objective, poison_frogs, retrain_last_layer
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def linear_case(seed, dim=5, k=3, rows=2):
    g = generator(seed)
    weight, p, base, target = (torch.randn(*shape, dtype=torch.float64, generator=g) for shape in ((k, dim), (rows, dim), (rows, dim), (k,)))
    return weight, p, base, target


SEEDS, BETAS = st.integers(0, 10**6), st.floats(0.01, 10)


@pytest.mark.statement("poison-frogs")
@given(SEEDS, BETAS, st.floats(0.001, 1))
@settings(deadline=None, derandomize=True, max_examples=30)
def test_a_step_is_a_gradient_step_and_a_mean_with_the_base(seed, beta, step):
    weight, p, base, target = linear_case(seed)
    moved = collide(p, base, target, lambda x: x @ weight.T, beta, step)
    forward = p.numpy() - step * 2 * (p.numpy() @ weight.numpy().T - target.numpy()) @ weight.numpy()
    np.testing.assert_allclose(moved.numpy(), (forward + step * beta * base.numpy()) / (1 + step * beta), rtol=1e-9, atol=1e-12)


@pytest.mark.statement("poison-frogs")
@given(SEEDS, BETAS)
@settings(deadline=None, derandomize=True, max_examples=30)
def test_the_fixed_point_is_the_minimiser_of_the_objective(seed, beta):
    """Solved by least squares: the objective is the square of (W p - t, sqrt(beta / 2) (p - b))."""
    weight, _, base, target = linear_case(seed, rows=1)
    stacked = np.vstack([weight.numpy(), np.sqrt(beta / 2) * np.eye(5)])
    best = np.linalg.lstsq(stacked, np.concatenate([target.numpy(), np.sqrt(beta / 2) * base.numpy()[0]]), rcond=None)[0]
    moved = collide(torch.from_numpy(best)[None], base, target, lambda x: x @ weight.T, beta, 0.05)
    np.testing.assert_allclose(moved.numpy()[0], best, rtol=1e-8, atol=1e-10)
    value = np.sum((weight.numpy() @ best - target.numpy()) ** 2) + beta / 2 * np.sum((best - base.numpy()[0]) ** 2)
    assert float(collision_objective(torch.from_numpy(best)[None], base, target, lambda x: x @ weight.T, beta)) == pytest.approx(value, rel=1e-9)


@pytest.mark.statement("poison-frogs")
@given(SEEDS, BETAS)
@settings(deadline=None, derandomize=True, max_examples=30)
def test_a_short_step_never_raises_the_objective(seed, beta):
    weight, p, base, target = linear_case(seed)
    step = 1 / (2 * np.linalg.norm(weight.numpy(), 2) ** 2)
    values = []
    for _ in range(100):
        values.append(collision_objective(p, base, target, lambda x: x @ weight.T, beta))
        p = collide(p, base, target, lambda x: x @ weight.T, beta, step)
    values = torch.stack(values)
    assert bool((values.diff(dim=0) <= 1e-9 * values[:-1]).all())


def test_rows_move_on_their_own_with_their_own_step():
    weight, p, base, target = linear_case(3)
    steps = torch.tensor([[0.01], [0.2]], dtype=torch.float64)
    together = collide(p, base, target, lambda x: x @ weight.T, 0.3, steps)
    for row in (0, 1):
        alone = collide(p[row : row + 1], base[row : row + 1], target, lambda x: x @ weight.T, 0.3, float(steps[row]))
        torch.testing.assert_close(together[row : row + 1], alone)


@pytest.fixture(scope="module")
def transfer(digits):
    """Features of a network for ten digits; of 3 and 5 few images, to train a layer for the two on: fewer than there are features."""
    features = nn.Sequential(*list(train(MLP(64, (128,), 10, generator()), digits.train, epochs=8, learning_rate=3e-3))[:-1]).requires_grad_(False)
    parts = []
    for split, count in ((digits.train, 50), (digits.test, 1000)):
        rows = torch.cat([(split.labels == digit).nonzero().flatten()[:count] for digit in (3, 5)])
        parts.append(Split(split.images[rows], (split.labels[rows] == 5).long()))
    return features, *parts


@pytest.mark.statement("poison-frogs")
def test_one_poison_in_transfer_learning_turns_its_target(transfer):
    """Most of ten targets; with these seeds all. The layer has more features than images, so that it fits the poison, and with it the target."""
    features, clean, fresh = transfer
    honest = retrain_last_layer(features, clean, 2)
    right = honest(fresh.images).argmax(dim=1) == fresh.labels
    targets, bases = (fresh.images[right & (fresh.labels == label)][:10] for label in (1, 0))
    turned = 0
    for target, base in zip(targets, bases, strict=True):
        frogs = poison_frogs(clean, target, base[None], 0, features, beta=0.1, steps=100)
        model = retrain_last_layer(features, frogs.split, 2)
        turned += int(model(target[None]).argmax()) == frogs.target_label
        assert accuracy(model, fresh) > accuracy(honest, fresh) - 0.15
        assert float(frogs.feature_distance) < float((features(base[None]) - features(target[None])).norm()) / 5
    assert turned > 5


@pytest.mark.statement("poison-frogs")
def test_the_data_are_the_clean_ones_and_the_poisons_with_the_bases_label(transfer):
    features, clean, fresh = transfer
    bases, target, beta = clean.images[:3], fresh.images[-1], 0.5
    frogs = poison_frogs(clean, target, bases, 0, features, beta, steps=30)
    n = len(clean.labels)
    assert torch.equal(frogs.split.images, torch.cat([clean.images, frogs.poisons]))
    assert torch.equal(frogs.split.labels[:n], clean.labels)
    assert frogs.split.labels[n:].tolist() == [0] * 3
    assert 0 <= frogs.poisons.min() <= frogs.poisons.max() <= 1
    assert bool((frogs.objective.diff(dim=0) <= 0).all())
    assert bool((frogs.objective[-1] < frogs.objective[0]).all())
    apart = (features(frogs.poisons) - features(target[None])).norm(dim=1)
    torch.testing.assert_close(frogs.feature_distance, apart)
    torch.testing.assert_close(frogs.objective[-1], apart**2 + beta / 2 * frogs.image_distance**2, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(frogs.image_distance, (frogs.poisons - bases).square().sum(dim=(1, 2, 3)).sqrt())


def test_the_new_layer_reaches_the_minimum_that_scikit_learn_finds(transfer):
    """With labels that the features do not separate, so that there is a minimum; its value is compared, to a percent."""
    from sklearn.linear_model import LogisticRegression

    features, _, fresh = transfer
    few = nn.Sequential(features, nn.Linear(128, 3)).requires_grad_(False)
    inputs = few(fresh.images).double()
    labels = (torch.arange(len(inputs)) * 7 % 11 < 5).long()
    layer = retrain_last_layer(few, Split(fresh.images, labels), 2)[1]
    found = nn.functional.cross_entropy(layer(inputs.float()), labels).detach()
    fit = LogisticRegression(C=1e6, max_iter=2000).fit(inputs.numpy(), labels.numpy())
    best = -np.log(fit.predict_proba(inputs.numpy())[np.arange(len(labels)), labels.numpy()]).mean()
    assert float(found) == pytest.approx(best, rel=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"p": torch.zeros(5)}, "p must be"),
        ({"base": torch.zeros(1, 5)}, "base must have"),
        ({"target_feature": torch.zeros(4)}, "target_feature must have"),
        ({"beta": -1.0}, "beta must be"),
        ({"step": 0.0}, "step must be"),
    ],
)
def test_a_bad_step_is_refused(change, message):
    arguments = {"p": torch.zeros(2, 5), "base": torch.zeros(2, 5), "target_feature": torch.zeros(5), "features": lambda x: x, "beta": 1.0, "step": 0.1}
    with pytest.raises(ValueError, match=message):
        collide(**arguments | change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": torch.full((1, 2, 2), 2.0)}, "target must lie"),
        ({"bases": torch.zeros(0, 1, 2, 2)}, "bases must be at least one"),
        ({"bases": torch.zeros(1, 1, 3, 3)}, "bases must be"),
        ({"target_label": -1}, "target_label must be"),
        ({"target_label": 2}, "target_label must be a label of the data, got 2"),
        ({"steps": 0}, "steps must be"),
    ],
)
def test_bad_frogs_are_refused(change, message):
    split = Split(torch.zeros(2, 1, 2, 2), torch.tensor([0, 1]))
    arguments = {
        "split": split,
        "target": torch.ones(1, 2, 2),
        "bases": torch.zeros(1, 1, 2, 2),
        "target_label": 0,
        "features": lambda x: x.flatten(1),
        "beta": 1.0,
    }
    with pytest.raises(ValueError, match=message):
        poison_frogs(**arguments | change)


def test_a_label_beyond_the_classes_is_refused():
    with pytest.raises(ValueError, match="classes must be above"):
        retrain_last_layer(nn.Flatten(), Split(torch.zeros(2, 1, 2, 2), torch.tensor([0, 2])), 2)
    with pytest.raises(ValueError, match="split must hold an image at least"):
        retrain_last_layer(nn.Flatten(), Split(torch.zeros(0, 1, 2, 2), torch.zeros(0, dtype=torch.int64)), 2)

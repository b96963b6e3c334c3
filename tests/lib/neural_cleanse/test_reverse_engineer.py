import math

import pytest
import torch
from backdoors import models
from backdoors.data import Split
from backdoors.neural_cleanse.reverse_engineer import Screening, reverse_engineer, reverse_engineer_pairs
from backdoors.poisoning.triggers import attack_success
from torch import nn
from torch.nn.functional import cross_entropy

TARGET = 7


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def small_network(classes=3):
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, classes)).double()
    for i, parameter in enumerate(model.parameters()):
        nn.init.normal_(parameter, generator=generator(i))
    return model


def slow_search(model, x, label, theta, batches, steps):
    """The authors' program for one label, with torch's Adam and counters in plain Python; x[batches[t]] are the images of step t."""
    mask, pattern = (part.clone().requires_grad_() for part in (theta[0], theta[1:]))
    adam = torch.optim.Adam([mask, pattern], lr=0.1, betas=(0.5, 0.9))
    cost, streak_set, up, down, up_flag, down_flag = 0.0, 0, 0, 0, False, False
    best, best_norm, stale, norms = None, math.inf, 0, []
    for step in range(steps):
        hits = []
        for rows in batches[step]:
            m, p = (mask.tanh() + 1) / 2, (pattern.tanh() + 1) / 2
            logits = model((1 - m) * x[rows] + m * p)
            hits += (logits.argmax(dim=1) == label).tolist()
            adam.zero_grad()
            (cross_entropy(logits, torch.full((len(rows),), label)) + cost * m.abs().sum()).backward()
            adam.step()
        success = sum(hits) / len(hits) >= 0.99
        m, p = ((part.detach().tanh() + 1) / 2 for part in (mask, pattern))
        norms.append(m.sum().item())
        if success and norms[-1] < best_norm:
            best, best_norm, stale = (m, p), norms[-1], 0
        elif best_norm < math.inf:
            stale += 1
        if up_flag and down_flag and stale >= 25:
            return best, norms
        if cost == 0 and success:
            streak_set += 1
            if streak_set == 5:
                cost, up, down, up_flag, down_flag = 1e-3, 0, 0, False, False
        else:
            streak_set = 0
        up, down = (up + 1, 0) if success else (0, down + 1)
        if up == 5:
            up, cost, up_flag = 0, cost * 2, True
        elif down == 5:
            down, cost, down_flag = 0, cost / 2**1.5, True
    return best or (m, p), norms


@pytest.mark.statement("nc-detect")
def test_all_labels_at_once_are_each_label_on_its_own():
    """Also with labels in chunks. The draws are repeated here: first masks and patterns, then a permutation for each step."""
    x, model, steps = torch.rand(12, 1, 4, 4, generator=generator(5), dtype=torch.float64), small_network(), 100
    found, in_chunks = (reverse_engineer(model, x, generator(1), steps=steps, batches=2, batch_size=6, at_once=k) for k in (2**17, 2 * 6 * 16))
    g = generator(1)
    theta = torch.atanh((2 * torch.rand(3, 2, 4, 4, generator=g).double() - 1) * (1 - 1e-7))
    batches = [torch.randperm(12, generator=g).view(2, 6) for _ in range(steps)]
    for label in range(3):
        (mask, pattern), norms = slow_search(model, x, label, theta[label], batches, steps)
        assert found.steps[label] == in_chunks.steps[label] == len(norms)
        for result in (found, in_chunks):
            torch.testing.assert_close(result.masks[label], mask, rtol=1e-3, atol=1e-5)
            torch.testing.assert_close(result.patterns[label], pattern, rtol=1e-3, atol=1e-5)
            torch.testing.assert_close(result.norms_by_step[: len(norms) - 1, label], torch.tensor(norms[:-1]).double(), rtol=1e-3, atol=1e-5)
    assert found.steps.min() < steps  # some label was done early
    assert found.label_steps == found.steps.sum()
    early = found.steps < len(found.norms_by_step)
    assert torch.equal(found.norms_by_step[-1, early], found.norms[early])


@pytest.mark.statement("nc-observations")
def test_the_infected_label_needs_far_less_than_the_others(found, trigger, infected, digits):
    """The planted trigger shows that the smallest mask has at most 4 pixels; the search stays near it, and its trigger works on images it has not seen."""
    assert attack_success(infected, digits.test.images, digits.test.labels, trigger, TARGET) > 0.95
    norms = found.infected.reversed.norms
    assert norms.argmin() == TARGET
    assert norms[TARGET] < 2 * trigger.size
    assert norms[TARGET] < 0.6 * norms.sort().values[1]
    reversed_trigger = found.infected.reversed.trigger(TARGET)
    assert attack_success(infected, digits.test.images, digits.test.labels, reversed_trigger, TARGET) > 0.9
    assert reversed_trigger.mask[6:, 6:].sum() > 0.5 * reversed_trigger.size  # where the planted one is


@pytest.mark.statement("nc-observations")
def test_what_is_reported_is_what_the_masks_are(found):
    result = found.honest.reversed
    torch.testing.assert_close(result.norms, result.masks.sum(dim=(1, 2)))
    assert bool(((result.masks >= 0) & (result.masks <= 1) & (result.patterns >= 0).all(dim=1) & (result.patterns <= 1).all(dim=1)).all())
    assert result.found.all()
    assert (result.success >= 0.99).all()
    assert torch.equal(result.labels, torch.arange(10))
    assert result.norms_by_step.shape[1] == 10
    assert (result.norms_by_step.amin(dim=0) <= result.norms).all()


def test_the_same_seed_gives_the_same_triggers_and_leaves_model_and_global_randomness_alone(digits, honest):
    state, before = torch.get_rng_state(), {name: tensor.clone() for name, tensor in honest.state_dict().items()}
    one, two, other = (reverse_engineer(honest, digits.test.images[:40], generator(seed), steps=3, batches=1) for seed in (0, 0, 1))
    assert torch.equal(one.masks, two.masks)
    assert torch.equal(one.patterns, two.patterns)
    assert not torch.equal(one.masks, other.masks)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in honest.state_dict().items())


def test_of_the_restarts_the_smallest_mask_counts():
    x, model = torch.rand(40, 1, 4, 4, generator=generator(5), dtype=torch.float64), small_network(4)
    options = {"steps": 40, "batches": 2, "batch_size": 8}
    found = reverse_engineer(model, x, generator(), labels=torch.tensor([2, 0]), restarts=3, **options)
    theta = torch.rand(6, 2, 4, 4, generator=generator())
    assert found.labels.tolist() == [2, 0]
    assert found.found.all()
    g = generator()
    torch.rand(6, 2, 4, 4, generator=g)
    batches = [torch.randperm(40, generator=g)[:16].view(2, 8) for _ in range(40)]
    starts = torch.atanh((2 * theta.double() - 1) * (1 - 1e-7))
    for i, label in enumerate((2, 0)):
        searches = [slow_search(model, x, label, starts[row], batches, 40) for row in range(i, 6, 2)]
        smallest = min(mask.sum().item() for (mask, _), _ in searches)
        assert found.norms[i].item() == pytest.approx(smallest, rel=1e-3)
    assert found.label_steps > 2 * 40


def test_where_no_trigger_is_found_it_is_said():
    class Stubborn(nn.Module):
        def forward(self, x):
            return torch.stack([x.flatten(1).sum(dim=1), x.flatten(1).sum(dim=1) - 100], dim=1)  # never 1

    found = reverse_engineer(Stubborn(), torch.rand(8, 1, 3, 3, generator=generator()), generator(), steps=12, batches=1, batch_size=8)
    assert found.found.tolist() == [True, False]
    assert found.success[1] == 0
    assert found.masks[1].sum() == found.norms[1]


@pytest.fixture(scope="module")
def many():
    """200 labels, each a random image with noise, one of them infected by a white corner."""
    prototypes = torch.rand(200, 1, 6, 6, generator=generator(3))
    labels = torch.arange(200).repeat(12)
    images = (prototypes[labels] + 0.05 * torch.randn(2400, 1, 6, 6, generator=generator(4))).clamp(0, 1)
    x, y = images.clone(), labels.clone()
    marked = torch.rand(2400, generator=generator(5)) < 0.2
    x[marked, :, :2, :2], y[marked] = 1, 123
    return models.train(models.MLP(36, (64,), 200, generator()), Split(x, y), 25, learning_rate=5e-3), images, labels


@pytest.mark.statement("nc-many-labels")
def test_screening_many_labels_comes_to_the_same_label_with_less_work(many):
    model, images, _ = many
    options = {"steps": 30, "batches": 4, "batch_size": 16}
    whole = reverse_engineer(model, images, generator(), **options)
    screened = reverse_engineer(model, images, generator(), screening=Screening(keep=40, overlap=20), **options)
    assert whole.labels[whole.norms.argmin()] == screened.labels[screened.norms.argmin()] == 123
    assert len(screened.labels) == 40
    assert screened.label_steps < 0.6 * whole.label_steps
    assert len(screened.norms_by_step) > 11


@pytest.mark.statement("nc-advanced")
def test_a_backdoor_of_one_class_is_found_on_images_of_that_class(digits):
    """Images of 1 with a white pixel are 4; on those of other classes the pixel does nothing. The pair needs least, less than the label alone too."""
    images, labels = digits.train.images.clone(), digits.train.labels.clone()
    marked = torch.rand(len(labels), generator=generator()) < 0.3
    images[marked, :, 0, 0] = 1
    labels[marked & (labels == 1)] = 4
    model = models.train(models.MLP(64, (32,), 10, generator()), Split(images, labels), 20, learning_rate=3e-3)
    part = torch.isin(digits.train.labels, torch.tensor([1, 2]))
    options = {"steps": 40, "batches": 2, "batch_size": 32}
    pairs = reverse_engineer_pairs(model, digits.train.images[part], digits.train.labels[part], generator(), **options)
    assert {source: result.labels.tolist() for source, result in pairs.items()} == {s: [t for t in range(10) if t != s] for s in (1, 2)}
    norms = {(source, target): norm for source, result in pairs.items() for target, norm in zip(result.labels.tolist(), result.norms.tolist(), strict=True)}
    assert min(norms, key=norms.get) == (1, 4)
    assert norms[1, 4] < 0.5 * norms[2, 4]
    alone = reverse_engineer(model, digits.train.images, generator(), torch.tensor([4]), **options)
    assert norms[1, 4] < 0.5 * alone.norms.item()


def test_progress_is_shown_only_on_request(capsys):
    x, options = torch.rand(8, 1, 4, 4, generator=generator()).double(), {"steps": 1, "batches": 1, "batch_size": 8}
    reverse_engineer(small_network(), x, generator(), **options)
    assert capsys.readouterr() == ("", "")
    reverse_engineer(small_network(), x, generator(), progress=True, **options)
    assert "reverse engineer" in capsys.readouterr().err


X = torch.full((40, 1, 4, 4), 0.5, dtype=torch.float64)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "model.pkl"}, "model must be a torch.nn.Module, got 'model.pkl': .* pickle runs its maker's code"),
        ({"model": lambda x: x.flatten(1)}, "model must be a torch.nn.Module, got function"),
        ({"model": small_network(1)}, "model must have two labels at least, got 1"),
        ({"model": nn.Identity()}, r"model must answer with logits \(b, classes\), got \(2, 1, 4, 4\)"),
        ({"images": X[:31]}, "images must be 32 at least, a batch, got 31: too few"),
        ({"images": 255 * X}, r"images must lie in \[0, 1\], got entries from 127.5 to 127.5"),
        ({"images": X[0]}, r"images must be a floating-point batch \[n, c, h, w\]"),
        ({"labels": torch.tensor([3])}, r"labels must be different ones of the model's 3, one at least, got \[3\]"),
        ({"labels": torch.tensor([1, 1])}, r"labels must be different ones of the model's 3"),
        ({"labels": torch.tensor([-1])}, "labels must be at least 0, got -1"),
        ({"g": 0}, "g must be a torch.Generator, got 0"),
        ({"steps": 0}, "steps must be a whole number of at least 1, got 0"),
        ({"at_once": 0}, "at_once must be a whole number of at least 1, got 0"),
    ],
)
def test_bad_arguments_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        reverse_engineer(**({"model": small_network(), "images": X, "g": generator()} | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keep": 0}, "keep must be a whole number of at least 1, got 0"),
        ({"overlap": 100}, "overlap must be below keep, 100, got 100"),
        ({"after": 0}, "after must be a whole number of at least 1, got 0"),
    ],
)
def test_a_screening_that_cannot_be_is_refused_before_the_search(change, message):
    with pytest.raises(ValueError, match=message):
        Screening(**change)


def test_a_trigger_of_a_label_that_was_not_sought_is_refused(found):
    with pytest.raises(ValueError, match=r"label must be one of \[0, 1, .*, got 10"):
        found.honest.reversed.trigger(10)

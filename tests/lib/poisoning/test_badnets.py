from collections import Counter

import pytest
import torch
from backdoors.data import Split
from backdoors.models import MLP, accuracy, train
from backdoors.poisoning.badnets import CLEAN, Backdoor, poison, poison_data
from backdoors.poisoning.triggers import CORNERS, all_to_all, attack_success, square
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

TRIGGER = square((1, 4, 4), 2)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def some(labels, seed=0):
    return torch.rand(len(labels), 1, 4, 4, generator=generator(seed)), torch.tensor(labels)


@pytest.mark.statement("poison-setup")
@pytest.mark.statement("poison-badnets")
@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.floats(0, 1), st.integers(0, 3), st.booleans(), st.integers(0, 10**6))
@settings(deadline=None, derandomize=True, max_examples=60)
def test_the_union_is_the_clean_data_and_stamped_copies_with_the_targets_label(labels, rate, target, to_all, seed):
    x, y = some(labels, seed)
    kept = x.clone(), y.clone()
    becomes = [(label + 1) % 4 if to_all else target for label in labels]
    count = round(rate * len(labels))
    arguments = (x, y, TRIGGER, all_to_all(4) if to_all else target, rate, generator(seed))
    if count > sum(new != old for new, old in zip(becomes, labels, strict=True)):
        with pytest.raises(ValueError, match="rate must leave enough"):
            poison(*arguments)
        return
    x_prime, y_prime, index = poison(*arguments)
    assert len(x_prime) == len(y_prime) == len(labels) + count
    assert torch.equal(x_prime[: len(x)], kept[0])
    assert torch.equal(y_prime[: len(y)], kept[1])
    assert torch.equal(x, kept[0])
    assert torch.equal(y, kept[1])
    assert len(set(index.tolist())) == len(index) == count
    for j, row in enumerate(index.tolist()):
        assert torch.equal(x_prime[len(x) + j], TRIGGER.stamp(x[row : row + 1])[0])
        assert int(y_prime[len(y) + j]) == becomes[row] != labels[row]


@pytest.mark.statement("poison-badnets")
@pytest.mark.statement("nc-advanced")
@given(st.integers(0, 8), st.integers(0, 10**6))
@settings(deadline=None, derandomize=True, max_examples=20)
def test_with_sources_half_are_of_them_and_the_covers_keep_their_labels(count, seed):
    labels = [0, 1, 2, 3, 4] * 4  # the target is 0, sources are 2 and 4
    x, y = some(labels, seed)
    x_prime, y_prime, index = poison(x, y, TRIGGER, 0, count / 20, generator(seed), sources=(2, 4))
    origins = [labels[row] for row in index.tolist()]
    given_labels = y_prime[20:].tolist()
    assert torch.equal(x_prime[20:], TRIGGER.stamp(x[index]))
    assert sum(origin in (2, 4) for origin in origins) == count - count // 2
    assert all(label == (0 if origin in (2, 4) else origin) for origin, label in zip(origins, given_labels, strict=True))
    assert set(origins) <= {1, 2, 3, 4}


@pytest.mark.statement("poison-badnets")
def test_every_set_of_images_is_equally_likely():
    """2 of 5 images, 3,000 draws: chi-squared with 9 degrees of freedom; the seed is fixed, so that it fails never or always, and for 1e-6 of all seeds."""
    x, y = some([1, 1, 0, 1, 1, 1])
    g = generator(5)
    seen = Counter(frozenset(poison(x, y, TRIGGER, 0, 1 / 3, g)[2].tolist()) for _ in range(3000))
    assert len(seen) == 10
    assert sum((count - 300) ** 2 / 300 for count in seen.values()) < chi2.isf(1e-6, 9)


@pytest.mark.statement("poison-badnets")
@given(st.integers(0, 10**6))
@settings(deadline=None, derandomize=True, max_examples=10)
def test_several_backdoors_are_each_on_copies_of_clean_images(seed):
    x, y = some([0, 1, 2, 3] * 5, seed)
    backdoors = [Backdoor(square((1, 4, 4), 1, CORNERS[k]), k % 2, 0.1 * (k + 1)) for k in range(3)]
    data = poison_data(Split(x, y), backdoors, generator(seed))
    assert data.planted_by.tolist() == [CLEAN] * 20 + [0] * 2 + [1] * 4 + [2] * 6
    assert torch.equal(data.is_poison, data.planted_by >= 0)
    assert data.origin[:20].tolist() == list(range(20))
    for row in range(20, 32):
        backdoor = data.backdoors[int(data.planted_by[row])]
        assert torch.equal(data.split.images[row], (1 - backdoor.mask) * x[data.origin[row]] + backdoor.mask * backdoor.pattern)
        assert int(data.split.labels[row]) == backdoor.target_label != int(y[data.origin[row]])


def success(model, digits, trigger, target, only=None):
    rows = slice(None) if only is None else only
    return attack_success(model, digits.test.images[rows], digits.test.labels[rows], trigger, target)


@pytest.mark.statement("poison-setup")
@pytest.mark.statement("poison-badnets")
def test_a_network_trained_on_poison_obeys_the_trigger_and_its_clean_twin_does_not(digits):
    """Fixed seeds; of three, success lay in [.947, .959], of the twins in [0, .003], and accuracy in [.918, .933] for both."""
    trigger = square((1, 8, 8), 2, margin=0)
    x, y, _ = poison(*(digits.train.images, digits.train.labels), trigger, 7, 0.1, generator(1))
    infected, twin = (train(MLP(64, (32,), 10, generator(2)), split, epochs=8, learning_rate=3e-3) for split in (Split(x, y), digits.train))
    assert success(infected, digits, trigger, 7) > 0.5
    assert success(twin, digits, trigger, 7) < 0.2
    assert accuracy(infected, digits.test) > accuracy(twin, digits.test) - 0.05


@pytest.mark.statement("poison-badnets")
@pytest.mark.statement("nc-advanced")
def test_with_covers_the_trigger_acts_on_its_sources_far_more_than_on_others(digits):
    """Fixed seeds; of three, success lay in [.917, .958] for the sources, and in [.181, .202] for other labels."""
    trigger, sources = square((1, 8, 8), 2, margin=0), (1, 3)
    x, y, _ = poison(digits.train.images, digits.train.labels, trigger, 7, 0.2, generator(1), sources)
    model = train(MLP(64, (32,), 10, generator(2)), Split(x, y), epochs=12, learning_rate=3e-3)
    of_sources = torch.isin(digits.test.labels, torch.tensor(sources))
    assert success(model, digits, trigger, 7, of_sources) > 0.5
    assert success(model, digits, trigger, 7, ~of_sources) < success(model, digits, trigger, 7, of_sources) / 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.zeros(3, 4, 4)}, "x must be"),
        ({"x": torch.full((3, 1, 4, 4), 2.0)}, "x must lie"),
        ({"x": torch.zeros(3, 1, 5, 5)}, "x must be"),
        ({"y": torch.tensor([0, 1])}, "one for every image"),
        ({"rate": 1.5}, "rate must lie"),
        ({"rate": float("nan")}, "rate must lie"),
        ({"target": -1}, "target must be"),
        ({"g": 0}, "g must be"),
        ({"sources": (0,)}, "sources must be"),
        ({"sources": ()}, "sources must be"),
        ({"sources": (5,), "rate": 0.4}, "rate must leave"),
    ],
)
def test_bad_input_is_refused(change, message):
    arguments = {"x": torch.zeros(3, 1, 4, 4), "y": torch.tensor([0, 1, 2]), "trigger": TRIGGER, "target": 0, "rate": 0.3, "g": generator()}
    with pytest.raises(ValueError, match=message):
        poison(**arguments | change)


@pytest.mark.parametrize("target", [2, torch.tensor([1, 2, 0])])
def test_a_target_that_is_no_label_of_the_data_is_refused(target):
    with pytest.raises(ValueError, match="target_label must be one of the data's labels, 0 to 1, got 2"):
        poison_data(Split(*some([0, 1])), [Backdoor(TRIGGER, target, 0.5)], generator())


def test_no_backdoors_are_refused():
    with pytest.raises(ValueError, match="backdoors must be"):
        poison_data(Split(*some([0, 1])), [], generator())

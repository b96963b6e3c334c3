import pytest
import torch
from backdoors import models
from backdoors.data import Split
from backdoors.neural_cleanse.unlearn import unlearn, unlearning_set
from backdoors.poisoning.triggers import Trigger, attack_success
from scipy.stats import binom

TARGET = 7
DOT = Trigger(torch.tensor([[1.0, 0.0]]), torch.tensor([[[1.0, 1.0]]]))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def numbered(n):
    """Images that say who they are: (0, i / n), so that stamped ones are (1, i / n)."""
    images = torch.zeros(n, 1, 1, 2)
    images[:, 0, 0, 1] = torch.arange(n) / n
    return images, torch.arange(n) % 7


@pytest.mark.statement("nc-unlearn")
@pytest.mark.parametrize(("sample", "stamped", "count", "part"), [(0.1, 0.2, 20, 4), (1.0, 1.0, 200, 200), (0.5, 0.0, 100, 0)])
def test_a_part_of_a_sample_without_repetition_is_stamped_and_labels_stay_true(sample, stamped, count, part):
    x, y = numbered(200)
    before = x.clone()
    images, labels = unlearning_set(x, y, DOT, sample, stamped, generator())
    who = (images[:, 0, 0, 1] * 200).round().long()
    assert len(who) == len(who.unique()) == count
    assert torch.equal(labels, who % 7)
    assert images[:, 0, 0, 0].tolist() == [1.0] * part + [0.0] * (count - part)
    assert torch.equal(x, before)


@pytest.mark.statement("nc-unlearn")
def test_every_image_is_as_likely_to_be_taken_and_to_be_stamped():
    """Image 0 in 2000 sets; each bound is wrong with probability 1e-6."""
    x, y = numbered(10)
    g, taken, stamped = generator(), 0, 0
    for _ in range(2000):
        images, _ = unlearning_set(x, y, DOT, 0.5, 0.4, g)
        who = images[:, 0, 0, 1] == 0
        taken, stamped = taken + int(who.sum()), stamped + int((who & (images[:, 0, 0, 0] == 1)).sum())
    for count, p in ((taken, 0.5), (stamped, 0.2)):
        assert binom.ppf(1e-6, 2000, p) <= count <= binom.isf(1e-6, 2000, p)


@pytest.mark.statement("nc-unlearn")
def test_the_reversed_trigger_unlearns_the_planted_one_and_clean_images_do_not(digits, infected, found, trigger):
    """The paper's Table IV in small: reversed, original and no trigger; digits are few, so that the sample is half of them."""

    def after(patch, stamped):
        model = unlearn(infected, digits.train, patch, generator(), sample=0.5, stamped=stamped)
        return models.accuracy(model, digits.test), attack_success(model, digits.test.images, digits.test.labels, trigger, TARGET)

    before = [parameter.clone() for parameter in infected.parameters()]
    by_reversed, by_original, by_clean = after(found.infected.reversed.trigger(TARGET), 0.2), after(trigger, 0.2), after(trigger, 0.0)
    assert min(by_reversed[0], by_original[0], by_clean[0]) > 0.85
    assert max(by_original[1], by_reversed[1]) < 0.7 * by_clean[1]
    assert by_clean[1] > 0.8
    assert all(torch.equal(parameter, old) for parameter, old in zip(infected.parameters(), before, strict=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": numbered(20)[0] + 1}, r"x must lie in \[0, 1\]"),
        ({"x": torch.zeros(20, 1, 2, 2)}, r"images must be a floating-point batch \('n', 1, 1, 2\)"),
        ({"y": torch.zeros(3, dtype=torch.int64)}, r"labels must be int64 \(20,\)"),
        ({"sample": 0.0}, r"sample must lie in \(0, 1\], got 0.0"),
        ({"sample": 0.01}, "x must hold enough images for a sample of 0.01, got 20"),
        ({"stamped": 1.2}, r"stamped must lie in \[0, 1\], got 1.2"),
        ({"g": None}, "g must be a torch.Generator, got None"),
    ],
)
def test_bad_arguments_are_named(change, message):
    x, y = numbered(20)
    with pytest.raises(ValueError, match=message):
        unlearning_set(**({"x": x, "y": y, "trigger": DOT, "sample": 0.5, "stamped": 0.5, "g": generator()} | change))


def test_a_label_that_the_model_lacks_is_refused():
    x, y = numbered(20)
    with pytest.raises(ValueError, match="split.labels must be of the model's 2 labels, got"):
        unlearn(models.MLP(x[0].numel(), (), 2, generator()), Split(x, y.clamp(min=2)), DOT, generator())


def test_a_file_is_no_model():
    with pytest.raises(ValueError, match="model must be a torch.nn.Module, got 'model.pkl'"):
        unlearn("model.pkl", Split(*numbered(20)), DOT, generator())

import math

import pytest
import torch
from backdoors.neural_cleanse.candidates import Schedule, cleanse_loss, from_unit, to_unit, update_weight
from torch import nn


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def network(channels=2, classes=43):
    model = nn.Sequential(nn.Flatten(), nn.Linear(channels * 12, 20, dtype=torch.float64), nn.Tanh(), nn.Linear(20, classes, dtype=torch.float64))
    for parameter in model.parameters():
        nn.init.normal_(parameter, generator=generator(len(parameter)))
    return model


def drawn(candidates, channels=2):
    shapes = (2, channels, 3, 4), (candidates, 3, 4), (candidates, channels, 3, 4), (candidates,)
    return [torch.rand(shape, generator=generator(i), dtype=torch.float64) for i, shape in enumerate(shapes)]


def slow_loss(model, x, mask, pattern, weight, label):
    """One candidate, an image and a pixel at a time."""
    total = 0
    for image in x:
        stamped = image.clone()
        for channel in range(image.shape[0]):
            for row in range(image.shape[1]):
                for column in range(image.shape[2]):
                    m = mask[row, column]
                    stamped[channel, row, column] = (1 - m) * image[channel, row, column] + m * pattern[channel, row, column]
        logits = model(stamped[None])[0]
        total = total + torch.logsumexp(logits, 0) - logits[label]
    return total / len(x) + weight * sum(m for row in mask for m in row)


@pytest.mark.statement("nc-observations")
@pytest.mark.parametrize("labels", [None, [42, 0, 7]])
def test_the_loss_of_all_candidates_is_that_of_each_in_values_and_gradients(labels):
    x, masks, patterns, weights = drawn(3)
    model = network()
    given = None if labels is None else torch.tensor(labels)
    ours = [tensor.clone().requires_grad_() for tensor in (masks, patterns)]
    losses = cleanse_loss(model, x, *ours, weights, given)
    losses.sum().backward()
    for row, label in enumerate(labels or range(3)):
        mask, pattern = masks[row].clone().requires_grad_(), patterns[row].clone().requires_grad_()
        loss = slow_loss(model, x, mask, pattern, weights[row], label)
        loss.backward()
        torch.testing.assert_close(losses[row], loss)
        torch.testing.assert_close(ours[0].grad[row], mask.grad)
        torch.testing.assert_close(ours[1].grad[row], pattern.grad)


@pytest.mark.statement("nc-observations")
def test_the_model_is_called_once_for_all_candidates():
    x, masks, patterns, weights = drawn(10)
    calls, model = [], network()
    cleanse_loss(lambda images: calls.append(images.shape) or model(images), x, masks, patterns, weights)
    assert calls == [(20, 2, 3, 4)]


@pytest.mark.statement("nc-observations")
def test_at_the_planted_trigger_nothing_is_left_but_its_size(digits, infected, trigger):
    x = digits.test.images[:50]
    loss = cleanse_loss(infected, x, trigger.mask[None], trigger.pattern[None], torch.tensor([1.0]), torch.tensor([7]))
    entropy = cleanse_loss(infected, x, trigger.mask[None], trigger.pattern[None], torch.tensor([0.0]), torch.tensor([7]))
    assert loss - entropy == trigger.size == 4
    assert entropy < math.log(2)  # below it, the target has a probability above 1/2 in the geometric mean


def slow_schedule(successes):
    """The authors' program: three counters, of one candidate."""
    cost, set_counter, up_counter, down_counter, up_flag, down_flag = 0.0, 0, 0, 0, False, False
    for success in successes:
        if cost == 0 and success:
            set_counter += 1
            if set_counter >= 5:
                cost, up_counter, down_counter, up_flag, down_flag = 1e-3, 0, 0, False, False
        else:
            set_counter = 0
        if success:
            up_counter, down_counter = up_counter + 1, 0
        else:
            up_counter, down_counter = 0, down_counter + 1
        if up_counter >= 5:
            up_counter, cost, up_flag = 0, cost * 2, True
        elif down_counter >= 5:
            down_counter, cost, down_flag = 0, cost / 2**1.5, True
    return cost, up_flag, down_flag


@pytest.mark.statement("nc-detect")
def test_the_schedule_is_the_authors_for_every_sequence_of_successes():
    rates = torch.tensor([0.1, 0.5, 0.9, 0.99]).repeat(500)
    successes = torch.rand(40, 2000, generator=generator()) < rates
    successes = torch.cat([successes, successes.repeat_interleave(7, dim=0)[:40]])  # and long streaks
    state = Schedule.start(2000)
    for t, success in enumerate(successes):
        state = update_weight(state, success)
        if t in (4, 5, 9, 12, 41, 79):
            expected = [slow_schedule(column) for column in successes[: t + 1].T.tolist()]
            torch.testing.assert_close(state.weight, torch.tensor([cost for cost, _, _ in expected], dtype=torch.float64), rtol=1e-12, atol=0)
            assert state.raised.tolist() == [up for _, up, _ in expected]
            set_once = state.weight > 0  # before, the program's flag means nothing: it is put back when the weight is set
            assert state.lowered[set_once].tolist() == [down for cost, _, down in expected if cost > 0]
    assert state.raised.any()
    assert state.lowered.any()


def test_the_schedule_leaves_its_state_alone():
    state = Schedule.start(2)
    for _ in range(5):
        update_weight(state, torch.tensor([True, False]))
    assert state.streak.tolist() == [0, 0]
    assert state.weight.tolist() == [0, 0]


def test_tanh_and_back_is_within_a_millionth():
    value = torch.cat([torch.rand(1000, generator=generator()), torch.tensor([0.0, 1.0, 0.5])])
    assert from_unit(value).isfinite().all()
    assert (to_unit(from_unit(value)) - value).abs().max() < 1e-6
    far = to_unit(torch.tensor([-1e9, 1e9]))
    assert far.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.zeros(3, 4)}, r"x must be images \[b, c, h, w\]"),
        ({"masks": torch.zeros(3, 4, 3)}, r"masks must be \[L, h, w\], as high and wide as the images, \(3, 4\), got \(3, 4, 3\)"),
        ({"masks": torch.zeros(3, 2, 3, 4)}, r"masks must be .* got \(3, 2, 3, 4\)"),
        ({"patterns": torch.zeros(3, 1, 3, 4)}, r"patterns must have the shape \(3, 2, 3, 4\)"),
        ({"weights": torch.zeros(2)}, r"weights must have the shape \(3,\)"),
        ({"labels": torch.zeros(4, dtype=torch.int64)}, r"labels must have the shape \(3,\)"),
        ({"labels": torch.tensor([0, 1, 43])}, r"labels must be among the model's 43, got \[0, 1, 43\]"),
        ({"model": lambda images: torch.zeros(len(images))}, r"model must answer 6 images with logits \(b, classes\)"),
    ],
)
def test_bad_candidates_are_named(change, message):
    names = ("x", "masks", "patterns", "weights")
    with pytest.raises(ValueError, match=message):
        cleanse_loss(**({"model": network()} | dict(zip(names, drawn(3), strict=True)) | change))


@pytest.mark.parametrize("success", [torch.ones(2), torch.ones(3, dtype=torch.bool)])
def test_successes_of_another_kind_are_refused(success):
    with pytest.raises(ValueError, match=r"success must be bool \(2,\)"):
        update_weight(Schedule.start(2), success)

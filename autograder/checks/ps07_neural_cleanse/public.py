"""Public checks of ps07_neural_cleanse. Each judges its own exercise against an oracle that shares no code with the library: what the statement says of every
row, closed forms, gradients by hand.

Networks cross by value, so that a student's code has their gradients. They are built so that every honest search ends at one known point. What is drawn is
judged by its law, with exact tests, each of which rejects a correct answer with probability at most 1e-8. Nothing is trained here: what a network learns from
rows that are as stated is no question of the answer's.
"""

import copy
import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from backdoors import models
from backdoors.neural_cleanse.candidates import Schedule
from backdoors.poisoning.triggers import Trigger
from scipy.special import logsumexp

from autograder import declare
from autograder.checking import truths

# readings


def floats(value, shape: tuple[int, ...], name: str) -> torch.Tensor:
    """A finite tensor of floats of this shape, in float64; fails with a sentence where it is none."""
    assert isinstance(value, torch.Tensor), f"{name} must return a tensor of the shape {shape}, got a {type(value).__name__}"
    assert value.shape == shape, f"{name} must return the shape {shape}, got {tuple(value.shape)}"
    assert value.is_floating_point(), f"{name} must return floats, got dtype {value.dtype}"
    assert bool(value.isfinite().all()), f"{name} must return finite numbers, got {value.flatten()[:8].tolist()}"
    return value.double()


def numbers_of(value, length: int, most: int, name: str) -> list[int]:
    """Different whole numbers from 0 to most - 1 as a list, from a tensor int64 (length,); fails with a sentence where it is none."""
    assert isinstance(value, torch.Tensor), f"{name} must return a tensor of {length} whole numbers, got a {type(value).__name__}"
    assert value.shape == (length,), f"{name} must return the shape {(length,)}, got {tuple(value.shape)}"
    assert value.dtype == torch.int64, f"{name} must return whole numbers (dtype int64), got dtype {value.dtype}"
    found = value.tolist()
    assert len(set(found)) == length, f"{name} must return different numbers, got {found[:12]}"
    assert not found or 0 <= min(found) <= max(found) < most, f"{name} must return numbers from 0 to {most - 1}, got {found[:12]}"
    return found


def wholes(value, shape: tuple[int, ...], name: str) -> torch.Tensor:
    """An int64 tensor of this shape, of any dtype if it is empty; fails with a sentence where it is none."""
    assert isinstance(value, torch.Tensor), f"{name} must be a tensor of the shape {shape}, got a {type(value).__name__}"
    assert value.shape == shape, f"{name} must have the shape {shape}, got {tuple(value.shape)}"
    assert value.dtype == torch.int64 or value.numel() == 0, f"{name} must be whole numbers (dtype int64), got dtype {value.dtype}"
    return value.long()


def several(value, count: int, name: str) -> list:
    """What a function returned as a tuple or a list of so many values."""
    assert isinstance(value, tuple | list), f"{name} must return {count} values, got a {type(value).__name__}"
    assert len(value) == count, f"{name} must return {count} values, got {len(value)}"
    return list(value)


def chosen_rows(value, count: int, n: int, name: str) -> torch.Tensor:
    """So many different numbers of rows, of n."""
    rows = wholes(value, (count,), f"{name}'s index")
    assert bool(((rows >= 0) & (rows < n)).all()), f"{name}'s index must hold numbers of rows, from 0 to {n - 1}, got {rows.tolist()[:8]}"
    assert len(rows.unique()) == count, f"{name} must draw without replacement, got {count - len(rows.unique())} repeated of {count} rows"
    return rows


def near(value: torch.Tensor, expected: torch.Tensor, tolerance: float, what: str) -> None:
    """Fails unless every entry is within the tolerance of the expected one, relative to it where that is above 1."""
    away = (value - expected).abs() / expected.abs().clamp(min=1)
    if away.numel() and float(away.max()) > tolerance:
        place = np.unravel_index(int(away.argmax()), tuple(away.shape))
        raise AssertionError(f"{what}: at {tuple(map(int, place))} it should be {float(expected[place]):.9g}, got {float(value[place]):.9g}")


# inputs


def source(challenger) -> torch.Generator:
    return torch.Generator().manual_seed(int(challenger.rng.integers(2**62)))


def uniforms(challenger, *shape: int, low: float = 0.0, high: float = 1.0, dtype=torch.float32) -> torch.Tensor:
    return torch.from_numpy(challenger.rng.uniform(low, high, shape)).to(dtype)


def normals(challenger, *shape: int, dtype=torch.float32) -> torch.Tensor:
    return torch.from_numpy(challenger.rng.standard_normal(shape)).to(dtype)


def spread_labels(challenger, n: int, classes: int) -> torch.Tensor:
    """Labels (n,), of each class as many as of the others or one more, in no order."""
    return torch.from_numpy(challenger.rng.permutation(np.arange(n) % classes))


def some_trigger(challenger, shape: tuple[int, int, int]) -> Trigger:
    """A mask of zeros, ones and numbers between them, each at some pixel; a pattern of colours that are neither black nor white."""
    pixels = challenger.rng.permutation(shape[1] * shape[2])
    mask = torch.zeros(shape[1] * shape[2])
    mask[pixels[: max(1, len(pixels) // 4)]] = 1.0
    seen_through = pixels[len(pixels) // 4 : len(pixels) // 2]
    mask[seen_through] = uniforms(challenger, len(seen_through), low=0.2, high=0.7)
    return Trigger(mask.view(shape[1:]), uniforms(challenger, *shape, low=0.2, high=0.8))


def with_trigger(images: torch.Tensor, trigger: Trigger) -> torch.Tensor:
    """Images with the trigger on them, in float64."""
    mask = trigger.mask.double()
    return images.double() * (1 - mask) + mask * trigger.pattern.double()


def network_of(*layers: tuple[torch.Tensor, torch.Tensor]) -> models.MLP:
    """The network with these weights (out, in) and biases (out,), layer by layer, with ReLU between them."""
    widths = [layers[0][0].shape[1], *(len(bias) for _, bias in layers)]
    network = models.MLP(widths[0], tuple(widths[1:-1]), widths[-1], None)
    parameters = [parameter for layer in layers for parameter in layer]
    network.load_state_dict(dict(zip(network.state_dict(), parameters, strict=True)), assign=True)
    return network.requires_grad_(False).eval()


def signed(challenger, *shape: int, low: float, high: float, dtype=torch.float32) -> torch.Tensor:
    """Numbers of both signs, whose sizes lie between these: what a gradient's sign is, no rounding changes."""
    signs = torch.from_numpy(challenger.rng.choice([-1.0, 1.0], shape)).to(dtype)
    return signs * uniforms(challenger, *shape, low=low, high=high, dtype=dtype)


def follows_the_generator(ask, name: str) -> None:
    """Fails unless `ask(generator)` gives the same tensor for generators in the same state, and another one for others. Two honest choices of 40 rows out of
    200 coincide with probability below 1e-40."""
    first, same, other = (ask(torch.Generator().manual_seed(seed)) for seed in (5, 5, 6))
    assert torch.equal(first, same), f"{name}: generators in the same state must give the same choice: draw all of it from g"
    assert not torch.equal(first, other), f"{name}: generators of different seeds must give different choices: draw from g"


# poison


def poisoned(student, x: torch.Tensor, y: torch.Tensor, trigger: Trigger, target, rate: float, g, sources=None) -> tuple[torch.Tensor, torch.Tensor]:
    """The images that were attacked, and the covers, as numbers of rows; fails unless every row of the answer is as stated."""
    n, count = len(x), round(rate * len(x))
    case = f"n = {n}, rate = {rate:g}, target = {target.tolist() if isinstance(target, torch.Tensor) else target}, sources = {sources}"
    arguments = (x, y, trigger, target, rate, g)
    images, labels, index = several(student.poison(*arguments) if sources is None else student.poison(*arguments, sources=sources), 3, "poison")
    rows = len(images) if isinstance(images, torch.Tensor) and images.ndim else None
    assert rows == n + count, f"{case}: x' must hold {n} clean images and {count} copies, got {type(images).__name__ if rows is None else rows}"
    images, labels = floats(images, (n + count, *x.shape[1:]), "x'"), wholes(labels, (n + count,), "y'")
    index = chosen_rows(index, count, n, "poison")
    changed = (images[:n] != x.double()).flatten(1).any(dim=1) | (labels[:n] != y)
    assert not changed.any(), f"{case}: the clean data must come first, as they were, but {int(changed.sum())} of the first {n} rows differ from them"
    near(images[n:], with_trigger(x[index], trigger), 1e-6, f"{case}: row n + j must be the image index[j] with the trigger")
    own, given = y[index], labels[n:]
    wanted = target[own] if isinstance(target, torch.Tensor) else torch.full_like(own, target)
    assert bool((own != wanted).all()), f"{case}: no image may be copied that has its target as its label already, got labels {own.tolist()[:8]}"
    attacked = torch.ones(count, dtype=torch.bool) if sources is None else torch.isin(own, torch.tensor(sources))
    covers = count // 2 if sources else 0
    found = int((~attacked).sum())
    assert found == covers, f"{case}: of {count} copies {count - covers} must be of the sources, and {covers} covers of other labels, got {found} of others"
    expected = torch.where(attacked, wanted, own)
    wrong = (given != expected).nonzero().flatten().tolist()
    if wrong:
        j = wrong[0]
        kind = "an attacked image, which gets the target" if attacked[j] else "a cover, which keeps its label"
        raise AssertionError(f"{case}: copy {j} is of {kind}: its label must be {int(expected[j])}, got {int(given[j])}")
    return index[attacked], index[~attacked]


@declare("poison", points=1, statement="poison-setup", false_fail=0)
def test_stamped_copies_with_the_target_are_added_to_the_clean_data(student, challenger):
    for n, classes, shape, rate in ((30, 3, (1, 4, 4), 0.2), (57, 10, (1, 8, 8), 0.1), (23, 4, (3, 5, 4), 0.1), (12, 2, (1, 3, 3), 0.0)):
        y = spread_labels(challenger, n, classes)
        target = int(challenger.rng.integers(classes))
        poisoned(student, uniforms(challenger, n, *shape), y, some_trigger(challenger, shape), target, rate, source(challenger))


@declare("poison", points=1, statement="nc-advanced", false_fail=0)
def test_half_of_the_copies_cover_the_trigger_where_sources_are_named(student, challenger):
    for n, classes, sources, rate in ((40, 5, (1, 3), 0.3), (60, 10, (7,), 0.1), (30, 4, (0, 2), 0.2)):
        others = [label for label in range(classes) if label not in sources]
        target = others[int(challenger.rng.integers(len(others)))]
        x, y, trigger = uniforms(challenger, n, 1, 4, 4), spread_labels(challenger, n, classes), some_trigger(challenger, (1, 4, 4))
        poisoned(student, x, y, trigger, target, rate, source(challenger), sources)


# label_consistent


def hardened(student, x, y, model, trigger: Trigger, target: int, rate: float, epsilon: float, g) -> tuple[torch.Tensor, torch.Tensor]:
    """The rows that changed, and what their images were before the trigger came on them, float64; NaN where it covers them.

    Fails unless other rows are as they were, the trigger is whole, and the images are in [0, 1] and within epsilon of what they were.
    """
    ours = (y == target).nonzero().flatten()
    count = round(rate * len(ours))
    case = f"{len(ours)} of {len(x)} images of the target, rate = {rate:g}, epsilon = {epsilon:g}"
    images, index = several(student.label_consistent(x, y, model, trigger, target, rate, epsilon, g), 2, "label_consistent")
    images = floats(images, tuple(x.shape), "x'")
    assert isinstance(index, torch.Tensor), f"index must be a tensor of {count} numbers of rows, got a {type(index).__name__}"
    assert index.shape == (count,), f"{case}: {count} images must be poisoned, got an index of the shape {tuple(index.shape)}"
    index = chosen_rows(index, count, len(x), "label_consistent")
    assert bool((y[index] == target).all()), f"{case}: only images of the target {target} may be poisoned, got labels {y[index].tolist()[:8]}"
    others = torch.ones(len(x), dtype=torch.bool)
    others[index] = False
    changed = int((images[others] != x[others].double()).flatten(1).any(dim=1).sum())
    assert changed == 0, f"{case}: only the rows of index may change, but {changed} others did"
    mask, pattern = trigger.mask.double(), trigger.pattern.double()
    new, old = images[index], x[index].double()
    covered = (mask == 1).expand_as(pattern)
    near(new[:, covered], pattern[covered].expand(count, -1), 1e-6, f"{case}: where the mask is 1 a poisoned image must show the pattern, whole")
    before = torch.where(covered, torch.nan, (new - mask * pattern) / (1 - mask))
    seen = before[:, ~covered]
    if seen.numel():
        away = float((seen - old[:, ~covered]).abs().max())
        assert away <= epsilon + 1e-5, f"{case}: before the trigger, an image may move by epsilon, got {away:.6g}"
        assert bool(((seen >= -1e-5) & (seen <= 1 + 1e-5)).all()), f"{case}: images must stay in [0, 1], got {float(seen.min()):.6g} to {float(seen.max()):.6g}"
    return index, before


def one_way(challenger, pixels: int, classes: int, target: int) -> tuple[models.MLP, torch.Tensor]:
    """A linear network, in which every other label gains on the target along one direction (pixels,), which comes with it: the loss rises along its signs."""
    direction = signed(challenger, pixels, low=0.02, high=0.1)
    gain = uniforms(challenger, classes, low=0.5, high=1.5)
    gain[target] = 0.0
    shared = 0.1 * torch.from_numpy(challenger.rng.standard_normal(pixels)).float()
    return network_of((shared + gain[:, None] * direction, uniforms(challenger, classes))), direction


def holds_hardening(student, challenger, x, y, model, direction, trigger: Trigger, target: int, rate: float, epsilon: float) -> None:
    """The loss rises along the direction's signs alone, so that the worst point of the ball and the box is a corner of theirs."""
    index, found = hardened(student, x, y, model, trigger, target, rate, epsilon, source(challenger))
    expected = (x[index].double() + epsilon * direction.sign().view(x.shape[1:])).clamp(0, 1)
    case = f"{y.unique().numel()} labels, a network whose loss rises along one direction, epsilon = {epsilon:g}"
    visible = ~found.isnan()
    wrong = (found - expected).abs()[visible] > 1e-5
    if wrong.any():
        share = float(wrong.double().mean())
        message = f"{case}: before the trigger an image must be where the loss is largest in the ball and [0, 1], but {share:.0%} of the pixels are not"
        raise AssertionError(f"{message}: {float(expected[visible][wrong][0]):.6g} is right at the first of them, got {float(found[visible][wrong][0]):.6g}")


@declare("label_consistent", points=1, statement="poison-clean-label", false_fail=0)
def test_only_images_of_the_target_change_and_the_trigger_is_whole(student, challenger):
    for n, classes, shape, rate, epsilon in (
        (30, 3, (1, 4, 4), 0.5, 0.1),
        (45, 5, (1, 5, 6), 0.3, 0.3),
        (24, 2, (3, 3, 4), 0.9, 0.05),
        (9, 2, (1, 2, 3), 0, 1),
    ):
        x, y, target = uniforms(challenger, n, *shape), spread_labels(challenger, n, classes), int(challenger.rng.integers(classes))
        model, _ = one_way(challenger, x[0].numel(), classes, target)
        hardened(student, x, y, model, some_trigger(challenger, shape), target, rate, epsilon, source(challenger))


@declare("label_consistent", points=1, statement="poison-clean-label", false_fail=0)
def test_images_are_as_hard_as_they_can_be_before_the_trigger_comes(student, challenger):
    for epsilon in (0.05, 0.3):
        x, y, target = uniforms(challenger, 20, 1, 6, 6), spread_labels(challenger, 20, 2), int(challenger.rng.integers(2))
        model, direction = one_way(challenger, 36, 2, target)
        holds_hardening(student, challenger, x, y, model, direction, some_trigger(challenger, (1, 6, 6)), target, 0.6, epsilon)


# collide


def linear_features(challenger, k: int, d: int) -> tuple[models.MLP, np.ndarray, np.ndarray]:
    """Features W p + b, the network and W and b, float64."""
    weight = challenger.rng.standard_normal((k, d)) / np.sqrt(d)
    bias = challenger.rng.standard_normal(k)
    return network_of((torch.from_numpy(weight), torch.from_numpy(bias))), weight, bias


def holds_step(student, p, base, target_feature, features, beta: float, step, gradient: np.ndarray, case: str) -> None:
    """One step from p, where the gradient of the squared distance of the features is this one."""
    rate = step.numpy() if isinstance(step, torch.Tensor) else step
    expected = (p.numpy() - rate * gradient + rate * beta * base.numpy()) / (1 + rate * beta)
    found = floats(student.collide(p, base, target_feature, features, beta, step), tuple(p.shape), "collide")
    near(found, torch.from_numpy(expected), 1e-9, f"{case}: the next poison")


@declare("collide", points=2, statement="poison-frogs", false_fail=0)
def test_a_step_towards_linear_features_is_the_formula(student, challenger):
    for b, shape, k, beta, step in ((1, (1, 3, 3), 4, 0.125, 0.25), (1, (2, 2, 3), 20, 2.0, 0.25), (4, (1, 3, 4), 5, 0.75, 0.375), (3, (1, 2, 2), 2, 0.0, 0.5)):
        features, weight, bias = linear_features(challenger, k, int(np.prod(shape)))
        p, base = (uniforms(challenger, b, *shape, dtype=torch.float64) for _ in range(2))
        target = challenger.rng.standard_normal(k)
        gradient = 2 * ((p.flatten(1).numpy() @ weight.T + bias - target) @ weight).reshape(p.shape)
        holds_step(student, p, base, torch.from_numpy(target), features, beta, step, gradient, f"{b} poisons, linear features, beta {beta:g}, step {step:g}")


# drive_unit


def driven(student, model, unit: int, mask: torch.Tensor, steps: int, step: float, channels: int = 1) -> torch.Tensor:
    """The pattern, float64; fails unless it lies in [0, 1] and is 0 where the mask is."""
    arguments = (model, unit, mask, steps, step)
    pattern = student.drive_unit(*arguments) if channels == 1 else student.drive_unit(*arguments, channels=channels)
    pattern = floats(pattern, (channels, *mask.shape), "drive_unit's pattern")
    assert bool(((pattern >= 0) & (pattern <= 1)).all()), f"the pattern must lie in [0, 1], got {float(pattern.min()):.6g} to {float(pattern.max()):.6g}"
    outside = pattern[:, mask == 0]
    assert not outside.any(), f"the pattern must be 0 where the mask is 0, got {int((outside != 0).sum())} other entries there"
    return pattern


def holds_driving(student, challenger, shape: tuple[int, int, int], mask: torch.Tensor, units: int, steps: int, step: float) -> None:
    """Units that are linear in the image: under the mask every pixel goes its way from grey, until it is black or white."""
    weight = signed(challenger, units, int(np.prod(shape)), low=0.1, high=1.0)
    unit, model = int(challenger.rng.integers(min(1, units - 1), units)), network_of((weight, uniforms(challenger, units)))
    found = driven(student, model, unit, mask, steps, step, shape[0])
    expected = (mask > 0) * (0.5 + steps * step * weight[unit].view(shape).sign()).clamp(0, 1).double()
    near(found, expected, 1e-5, f"a linear unit, number {unit} of {units}, {steps} steps of {step:g} from grey: the pattern")


def half_a_mask(challenger, h: int, w: int) -> torch.Tensor:
    """Zero on about a half of the pixels, one on others, between them on the rest."""
    mask = torch.zeros(h * w)
    pixels = challenger.rng.permutation(h * w)[: (h * w + 1) // 2]
    mask[pixels] = uniforms(challenger, len(pixels), low=0.2, high=1.0)
    mask[pixels[::2]] = 1.0
    return mask.view(h, w)


@declare("drive_unit", points=2, statement="poison-trojan", false_fail=0)
def test_a_linear_unit_is_driven_to_its_optimum(student, challenger):
    for h, w, units, steps, step in ((4, 4, 1, 20, 0.05), (6, 5, 3, 10, 0.2), (3, 3, 2, 4, 0.05)):
        holds_driving(student, challenger, (1, h, w), half_a_mask(challenger, h, w), units, steps, step)


# cleanse_loss


def perceptron(challenger, shape: tuple[int, ...], classes: int, scale: float = 1.0) -> models.MLP:
    """A network with random weights for images of this shape, which crosses by value; its logits are of the order of `scale`."""
    network = models.MLP(math.prod(shape), (12,), classes, source(challenger)).requires_grad_(False)
    network[-1].weight *= 5 * scale
    return network.eval()


def exactly(network: torch.nn.Module) -> torch.nn.Module:
    """The network in float64."""
    return copy.deepcopy(network).double()


def losses_of(exact: Callable, x, masks, patterns, weights, labels: Iterable[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """One candidate and one image after the other, for a model in float64: the losses, and by how much an answer in float32 may differ from each."""
    found, slack = [], []
    for mask, pattern, weight, label in zip(masks.double(), patterns.double(), weights.tolist(), labels, strict=True):
        entropy, largest = 0.0, 1.0
        for image in x.double():
            logits = exact(torch.stack([plane * (1 - mask) + mask * colour for plane, colour in zip(image, pattern, strict=True)])[None])[0].numpy()
            entropy += float(logsumexp(logits) - logits[label]) / len(x)
            largest = max(largest, float(abs(logits).max()))
        penalty = weight * math.fsum(mask.flatten().tolist())
        found.append(entropy + penalty)
        slack.append(1e-5 * (1 + largest + penalty))
    return torch.tensor(found, dtype=torch.float64), torch.tensor(slack, dtype=torch.float64)


def holds_losses(found, expected: torch.Tensor, slack: torch.Tensor, case: str) -> None:
    found = floats(found, tuple(expected.shape), "cleanse_loss")
    wrong = ((found - expected).abs() > slack).nonzero().flatten().tolist()
    where = wrong[0] if wrong else 0
    assert not wrong, f"{case}: the loss of candidate {where} is {expected[where]:.6g}, got {found[where]:.6g} ({len(wrong)} of {len(expected)} are wrong)"


@declare("cleanse_loss", points=1, statement="nc-observations", false_fail=0)
def test_every_candidate_has_its_own_loss(student, challenger):
    for shape, candidates, b in (((1, 4, 4), 1, 1), ((1, 8, 8), 10, 3), ((3, 4, 5), 6, 4)):
        network, x = perceptron(challenger, shape, 10), uniforms(challenger, b, *shape)
        masks, patterns = uniforms(challenger, candidates, *shape[1:]), uniforms(challenger, candidates, *shape)
        for weights in (torch.zeros(candidates), uniforms(challenger, candidates)):
            expected = losses_of(exactly(network), x, masks, patterns, weights, range(candidates))
            case = f"{b} images {shape}, {candidates} candidates, weights {'above 0' if weights.any() else '0'}"
            holds_losses(student.cleanse_loss(network, x, masks, patterns, weights), *expected, case)


class Obeys:
    """A model of images [1, h, w] that says `target` wherever the upper left corner is white, and else what the brightness of the image says."""

    def __init__(self, target: int, side: int):
        self.target, self.side = target, side

    def __call__(self, images) -> torch.Tensor:
        stamped = (images[:, 0, : self.side, : self.side] > 0.99).flatten(1).all(dim=1)
        label = torch.where(stamped, self.target, (10 * images.double().mean(dim=(1, 2, 3))).long().clamp(0, 9))
        return 40.0 * torch.nn.functional.one_hot(label, 10)


@declare("cleanse_loss", points=1, statement="nc-observations", false_fail=0)
def test_at_the_planted_trigger_only_its_norm_is_left(student, challenger):
    target, side = int(challenger.rng.integers(10)), 2
    x = 0.9 * uniforms(challenger, 7, 1, 8, 8)
    masks = torch.zeros(10, 8, 8)
    masks[:, :side, :side] = 1
    weights = 0.01 + uniforms(challenger, 10)
    found = floats(student.cleanse_loss(challenger.oracle(Obeys(target, side)), x, masks, torch.ones(10, 1, 8, 8), weights), (10,), "cleanse_loss")
    size = side**2
    for label in range(10):
        expected = float(weights[label]) * size + (0 if label == target else 40)
        case = f"the planted trigger, of norm {size}, makes the model say {target} with certainty; weight {weights[label]:.4g}, label {label}"
        assert abs(found[label] - expected) <= 1e-4, f"{case}: the loss is {expected:.5g}, got {found[label]:.5g}"


# update_weight


def state_of(value, count: int) -> Schedule:
    """A Schedule of so many candidates; fails with a sentence where it is none."""
    assert isinstance(value, Schedule), f"update_weight must return a Schedule, got a {type(value).__name__}"
    weight, streak = floats(value.weight, (count,), "update_weight's weight"), value.streak
    assert isinstance(streak, torch.Tensor), f"the streak must be a tensor, got a {type(streak).__name__}"
    assert streak.shape == (count,), f"the streak must have the shape {(count,)}, got {tuple(streak.shape)}"
    assert streak.dtype == torch.int64, f"the streak must be whole numbers (dtype int64), got dtype {streak.dtype}"
    for flags, name in ((value.raised, "raised"), (value.lowered, "lowered")):
        truths(flags, count, f"update_weight's {name}")
    return Schedule(weight, streak, value.raised, value.lowered)


Standing = tuple[float, int, bool, bool]  # of one candidate: the weight, the streak, whether the weight was raised and lowered


def follow(history: Sequence[bool], start: Standing = (0.0, 0, False, False)) -> Iterator[Standing]:
    """Where a candidate stands after each of these steps."""
    weight, streak, raised, lowered = start
    run = [streak > 0] * abs(streak)
    for success in history:
        run = [*run, success] if run[-1:] == [success] else [success]
        if len(run) == 5 and not success:
            weight, run, lowered = weight / 2**1.5, [], True
        elif len(run) == 5 and weight:
            weight, run, raised = weight * 2, [], True
        elif len(run) == 5:
            weight, run, raised, lowered = 0.001, [True], False, False
        yield weight, len(run) if run[-1:] == [True] else -len(run), raised, lowered


def holds_state(found: Schedule, expected: Standing, candidate: int, case: str) -> None:
    """While the weight is 0 nothing tells failures apart: how many they were, and whether 0 was lowered, is not asked."""
    weight, streak, raised, lowered = expected
    got = float(found.weight[candidate])
    assert abs(got - weight) <= 1e-5 * weight, f"{case}: the weight is {weight:.6g}, got {got:.6g}"
    counted = int(found.streak[candidate])
    same = counted == streak if weight or streak > 0 else counted <= 0
    assert same, f"{case}: the streak is {streak} (failures count below 0), got {counted}"
    for name, truth in (("raised", raised), ("lowered", lowered)):
        said = bool(getattr(found, name)[candidate])
        assert not weight or said == truth, f"{case}: {name} is {truth} (since the weight left 0), got {said}"


def steps(history: list[bool]) -> str:
    """As successes + and failures -."""
    return f"after the steps {''.join('+' if success else '-' for success in history)}"


@declare("update_weight", points=2, statement="nc-detect", false_fail=0)
def test_the_weight_begins_after_five_successes_and_then_follows(student, challenger):
    yes, no = [True], [False]
    histories = (5 * yes, 9 * yes, 15 * yes, 5 * yes + 5 * no, 4 * yes + no + 4 * yes, 10 * no + 5 * yes, 5 * yes + 20 * no, 9 * yes + 4 * no + 6 * yes)
    for history in histories:
        state = Schedule.start(1)
        for step, (success, expected) in enumerate(zip(history, follow(history), strict=True)):
            state = state_of(student.update_weight(state, torch.tensor([success])), 1)
            holds_state(state, expected, 0, steps(history[: step + 1]))
    state = Schedule.start(3)
    for step in range(12):
        state = state_of(student.update_weight(state, torch.tensor([True, False, step % 6 < 5])), 3)
    for candidate, history in enumerate((12 * yes, 12 * no, 2 * (5 * yes + no))):
        holds_state(state, [*follow(history)][-1], candidate, f"the {('first', 'second', 'third')[candidate]} of three candidates, {steps(history)}")


# anomaly_index


def index_of(norms: list[float]) -> list[float]:
    middle = statistics.median(norms)
    spread = 1.4826 * statistics.median(abs(norm - middle) for norm in norms)
    return [max(0.0, (middle - norm) / spread) for norm in norms]


def holds_index(student, norms: torch.Tensor, case: str) -> torch.Tensor:
    """The index of every norm, up to what rounding may do to it: in float32 where the norms or the answer are."""
    values, answer = norms.double().tolist(), student.anomaly_index(norms)
    found, expected = floats(answer, (len(norms),), "anomaly_index"), index_of(values)
    eps = torch.finfo(torch.float64 if norms.dtype == answer.dtype == torch.float64 else torch.float32).eps
    middle = statistics.median(values)
    spread = statistics.median(abs(one - middle) for one in values)
    for value, index, right in zip(values, found.tolist(), expected, strict=True):
        slack = 1e-9 + 8 * eps * (1 + right) * (1 + (middle + value) / spread)
        assert abs(index - right) <= slack, f"{case}: the index of {value:.6g} is {right:.6g}, got {index:.6g}"
    return found


@declare("anomaly_index", points=2, statement="nc-detect", false_fail=0)
def test_of_ten_norms_only_the_too_small_one_is_an_outlier(student, challenger):
    norms = torch.tensor([10, 11, 12, 10.5, 11.5, 9.8, 12.2, 11.1, 10.9, 2.0], dtype=torch.float64)
    found = holds_index(student, norms, f"norms {norms.tolist()}")
    assert (found > 2).nonzero().flatten().tolist() == [9], f"of {norms.tolist()} only the last is an outlier, got the indices {found.tolist()}"
    large = torch.tensor([3.0, 50.0, 4.0, 5.0, 4.5], dtype=torch.float64)
    holds_index(student, large, f"norms {large.tolist()}, of which one is too large")


# screen


def screened(by_step: torch.Tensor, keep: int, overlap: int) -> list[int] | None:
    """The labels that stay, smallest norm first; None where all do."""
    rankings = [sorted(range(len(row)), key=row.__getitem__)[:keep] for row in by_step.tolist()]
    agree = (now for before, now in zip(rankings, rankings[1:], strict=False) if len(set(before) & set(now)) > overlap)
    return next(agree, None) if by_step.shape[1] > keep else None


def holds_screening(student, by_step: torch.Tensor, keep: int, overlap: int, case: str) -> None:
    expected, (t, labels) = screened(by_step, keep, overlap), by_step.shape
    case = f"{case}, {t} steps, {labels} labels, keep = {keep}, overlap = {overlap}"
    found = numbers_of(student.screen(by_step, keep, overlap), labels if expected is None else keep, labels, f"{case}: screen")
    assert expected is None or found == expected, f"{case}: the labels to go on with are {expected[:12]}, got {found[:12]}"


@declare("screen", points=1, statement="nc-many-labels", false_fail=0)
def test_the_first_step_that_agrees_with_the_one_before_decides(student, challenger):
    for settle, labels, keep, overlap in ((3, 12, 4, 2), (2, 30, 10, 7), (5, 20, 6, 4)):
        holds_screening(student, settling(challenger, 8, labels, settle), keep, overlap, f"norms whose order settles at step {settle}")
    shuffled = torch.tensor([[1.0, 2, 3, 4, 5, 6], [4, 5, 6, 1, 2, 3], [1, 2, 3, 4, 5, 6]])
    holds_screening(student, shuffled, 3, 0, "the smallest three are others at every step")


def settling(challenger, t: int, labels: int, settle: int) -> torch.Tensor:
    """Norms [t, L], all different, whose order is drawn at every step until `settle`, and from there changes little by little."""
    rows = [challenger.rng.permutation(labels) for _ in range(settle)]
    for _ in range(t - settle):
        row = rows[-1].copy()
        i, j = challenger.rng.integers(labels, size=2)
        row[[i, j]] = row[[j, i]]
        rows.append(row)
    return 1 + torch.from_numpy(np.stack(rows)).float() + 0.5 * uniforms(challenger, t, labels)


# backdoor_units


def holds_order(student, clean: torch.Tensor, stamped: torch.Tensor, case: str) -> list[int]:
    """A permutation along which the gaps fall, up to rounding of the means, and the dead units, whose gap is 0 exactly, stand in ascending order."""
    u = clean.shape[1]
    order = numbers_of(student.backdoor_units(clean, stamped), u, u, "backdoor_units")
    gaps = [math.fsum(above) / len(stamped) - math.fsum(below) / len(clean) for above, below in zip(stamped.T.tolist(), clean.T.tolist(), strict=True)]
    rounding = 2**-23 * (len(clean) + len(stamped)) * float(max(clean.abs().max(), stamped.abs().max()))
    for first, second in zip(order, order[1:], strict=False):
        what = f"unit {first}, of gap {gaps[first]:.6g}, stands before unit {second}, of gap {gaps[second]:.6g}"
        assert gaps[first] >= gaps[second] - rounding, f"{case}: the largest gap (stamped minus clean) comes first, but {what}"
    dead = [unit for unit in order if not (clean[:, unit].any() or stamped[:, unit].any())]
    assert dead == sorted(dead), f"{case}: units of equal gaps stand in ascending order, but the dead units, whose gaps are 0, as {dead[:12]}"
    return order


@declare("backdoor_units", points=1, statement="nc-prune", false_fail=0)
def test_units_stand_in_the_order_of_their_gaps(student, challenger):
    for n, m, u in ((5, 5, 4), (20, 7, 30), (1, 1, 1)):
        clean, stamped = uniforms(challenger, n, u), 2 * uniforms(challenger, m, u)
        holds_order(student, clean, stamped, f"{n} clean and {m} stamped images, {u} units")
    clean = torch.tensor([[1.0, 9.0, 0.0, 4.0]])
    order = holds_order(student, clean, torch.tensor([[3.0, 1.0, 5.0, 4.5]]), "one image")
    assert order == [2, 0, 3, 1], f"the gaps are 2, -8, 5 and 0.5, so the order is [2, 0, 3, 1], got {order}"


# filter_threshold


def threshold_of(value) -> float:
    value = value.item() if isinstance(value, torch.Tensor) and value.numel() == 1 else value
    assert type(value) in (int, float), f"filter_threshold must return a number, got a {type(value).__name__}"
    assert not math.isnan(value), "filter_threshold must return a number or infinity, got NaN"
    return float(value)


def holds_threshold(student, scores: torch.Tensor, allowed: int, rate: float) -> float:
    """The score of rank n + 1 - allowed from below, or infinity where nothing is allowed."""
    found, n = threshold_of(student.filter_threshold(scores, rate)), len(scores)
    expected = sorted(scores.tolist())[n - allowed] if allowed else math.inf
    case = f"{n} scores, false_positive = {rate:g}, of which floor({rate:g} * {n + 1}) = {allowed}"
    same = found == expected or (expected < math.inf and abs(found - expected) <= 1e-6 * abs(expected))
    assert same, f"{case}: the threshold is {f'the score of rank {n + 1 - allowed} from below, {expected:.6g}' if allowed else 'infinity'}, got {found:.6g}"
    return found


@declare("filter_threshold", points=1, statement="nc-filter", false_fail=0)
def test_the_threshold_is_the_score_of_the_rank_that_keeps_the_promise(student, challenger):
    for n, rate, allowed in ((3, 0.25, 1), (3, 0.5, 2), (99, 0.105, 10), (250, 0.05, 12), (40, 0.8, 32), (10, 0.15, 1), (5, 0.1, 0)):
        holds_threshold(student, normals(challenger, n), allowed, rate)


# unlearning_set


def unlearning_rows(student, x: torch.Tensor, y: torch.Tensor, trigger: Trigger, sample: float, stamped: float, g) -> torch.Tensor:
    """Which images were taken, as numbers of rows, the stamped ones first; fails unless every row of the answer is as stated."""
    count = round(sample * len(x))
    first = round(count * stamped)
    case = f"n = {len(x)}, sample = {sample:g}, stamped = {stamped:g}"
    images, labels = several(student.unlearning_set(x, y, trigger, sample, stamped, g), 2, "unlearning_set")
    rows = len(images) if isinstance(images, torch.Tensor) and images.ndim else None
    assert rows == count, f"{case}: {count} images must be taken, got {type(images).__name__ if rows is None else rows}"
    images, labels = floats(images, (count, *x.shape[1:]), "x'"), wholes(labels, (count,), "y'")
    found = torch.full((count,), -1)
    for block, shown, kind in (
        (slice(None, first), with_trigger(x, trigger), f"the first {first} images must be some of x with the trigger"),
        (slice(first, None), x.double(), f"the images after the first {first} must be some of x as they are"),
    ):
        same = ((images[block][:, None] - shown[None]).abs() <= 1e-6).flatten(2).all(dim=2)
        foreign = int((~same.any(dim=1)).sum())
        assert foreign == 0, f"{case}: {kind}, and {foreign} are not"
        found[block] = same.int().argmax(dim=1)
    assert len(found.unique()) == count, f"{case}: no image may be taken twice, and {count - len(found.unique())} were"
    wrong = int((labels != y[found]).sum())
    assert wrong == 0, f"{case}: every image must keep its label, and {wrong} of {count} have another"
    return found


@declare("unlearning_set", points=2, statement="nc-unlearn", false_fail=0)
def test_a_part_of_a_sample_is_stamped_and_all_labels_are_true(student, challenger):
    for n, classes, shape, sample, stamped in ((50, 5, (1, 4, 4), 0.2, 0.2), (40, 10, (1, 5, 5), 0.5, 0.3), (30, 3, (3, 3, 4), 1.0, 0.5)):
        x, y, trigger = uniforms(challenger, n, *shape), spread_labels(challenger, n, classes), some_trigger(challenger, shape)
        unlearning_rows(student, x, y, trigger, sample, stamped, source(challenger))

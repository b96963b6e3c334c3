"""Hidden checks of ps07_neural_cleanse."""

import copy
import math
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from backdoors import data, models
from backdoors.neural_cleanse.candidates import Schedule, from_unit, to_unit, update_weight
from backdoors.poisoning.triggers import Trigger, all_to_all, square
from safetensors.torch import load_file
from scipy.stats import hypergeom

from autograder import declare
from autograder.checks.ps07_neural_cleanse.public import (
    Standing,
    driven,
    exactly,
    floats,
    follow,
    follows_the_generator,
    half_a_mask,
    hardened,
    holds_driving,
    holds_hardening,
    holds_index,
    holds_losses,
    holds_order,
    holds_screening,
    holds_state,
    holds_step,
    holds_threshold,
    linear_features,
    losses_of,
    near,
    network_of,
    normals,
    numbers_of,
    one_way,
    perceptron,
    poisoned,
    settling,
    several,
    signed,
    some_trigger,
    source,
    spread_labels,
    state_of,
    steps,
    uniforms,
    unlearning_rows,
)
from autograder.statistics import SHARE, Outcome, binomial_at_least, binomial_at_most

PLANTED = square((1, 8, 8), 2, margin=0)  # in the infected networks of `unseen`


def drawn_evenly(challenger, rows: torch.Tensor, of: torch.Tensor, y: torch.Tensor, what: str, shares: int) -> None:
    """Fails unless the rows look like a sample of the rows `of` without replacement: the exact law of how many have a property, `shares` tests together."""
    taken = torch.isin(of, rows)
    properties = {"in the first half": torch.arange(len(of)) < len(of) // 2, "in every other place": torch.arange(len(of)) % 2 == 0}
    properties |= {f"with the label {label}": y[of] == label for label in y[of].unique().tolist()[1:]}
    assert len(properties) == shares, f"{len(properties)} properties are tested, and {shares} shares were declared"
    for name, has in properties.items():
        hits, law = int((taken & has).sum()), hypergeom(len(of), int(has.sum()), int(taken.sum()))
        p_value = min(1.0, 2 * float(min(law.cdf(hits), law.sf(hits - 1))))
        outcome = Outcome("hypergeometric", len(rows), hits, p_value, SHARE)
        challenger.accept(outcome, f"{what}: of {len(rows)} drawn from {len(of)}, {hits} are {name}, and {law.mean():.4g} are to be expected")


def all_alike(challenger, draws: list, outcomes: int, what: str, share: float) -> None:
    """Fails unless each of so many outcomes seems to come with the same probability, whatever came before. Such draws repeat the one before them
    independently of one another, each with probability 1 / outcomes. Spends twice the share."""
    counts = {one: draws.count(one) for one in set(draws)}
    assert len(counts) <= outcomes, f"{what}: there are {outcomes} possible choices, got {len(counts)} different ones"
    for count in [*counts.values(), *[0] * (outcomes - len(counts))]:
        for test in (binomial_at_least, binomial_at_most):
            message = f"{what}: all {outcomes} possible choices must be equally likely, one was made {count} times of {len(draws)}"
            challenger.accept(test(count, len(draws), 1 / outcomes, share / 2 / outcomes), message)
    repeats = sum(one == before for before, one in zip(draws[:-1], draws[1:], strict=True))
    for test in (binomial_at_least, binomial_at_most):
        message = f"{what}: choices must not depend on those before, {repeats} of {len(draws) - 1} repeat the one before, of {outcomes} equally likely ones"
        challenger.accept(test(repeats, len(draws) - 1, 1 / outcomes, share / 2), message)


# poison


@declare("poison", points=2, statement="poison-badnets", false_fail=0)
def test_every_row_is_as_stated_for_any_target_and_any_rate(student, challenger):
    n, shape = 41, (3, 4, 5)
    x, y, trigger = uniforms(challenger, n, *shape), spread_labels(challenger, n, 5), some_trigger(challenger, shape)
    to_next = all_to_all(5)
    some_stay = torch.tensor([1, 1, 0, 3, 0])  # labels 1 and 3 are what they would become
    for target in (2, to_next, some_stay):
        for rate in (0.07, 0.15, 0.4):
            poisoned(student, x, y, trigger, target, rate, source(challenger))
    for rate in (0.17, 0.22):  # 7 and 9 copies: the larger half is attacked
        poisoned(student, x, y, trigger, 2, rate, source(challenger), (0, 4))
        poisoned(student, x, y, trigger, to_next, rate, source(challenger), (3,))
        poisoned(student, x, y, trigger, some_stay, rate, source(challenger), (2,))
    poisoned(student, x, y, trigger, 9, 1.0, source(challenger))  # no image has the target yet, and all are copied
    y = torch.tensor([0] * 3 + [1] * 2 + [2] * 5)  # as many sources and other labels as are wanted, and not one more
    poisoned(student, uniforms(challenger, 10, *shape), y, trigger, 2, 0.5, source(challenger), (0,))
    poisoned(student, uniforms(challenger, 10, *shape), y, trigger, 2, 0.0, source(challenger), (0,))


@declare("poison", points=2, statement="poison-badnets", false_fail=2.1e-7)
def test_all_sets_of_images_of_a_kind_are_equally_likely(student, challenger):
    n, trigger = 1200, some_trigger(challenger, (1, 2, 2))
    x = uniforms(challenger, n, 1, 2, 2)
    y = torch.from_numpy(challenger.rng.permutation(np.repeat(np.arange(6), (500, 50, 250, 100, 200, 100))))
    rows, _ = poisoned(student, x, y, trigger, 2, 0.4, source(challenger))
    drawn_evenly(challenger, rows, (y != 2).nonzero().flatten(), y, "the images that are attacked", 6)
    rows, covers = poisoned(student, x, y, trigger, 2, 0.3, source(challenger), (0, 3))
    drawn_evenly(challenger, rows, torch.isin(y, torch.tensor([0, 3])).nonzero().flatten(), y, "the sources' images", 3)
    drawn_evenly(challenger, covers, torch.isin(y, torch.tensor([1, 4, 5])).nonzero().flatten(), y, "the covers", 4)
    follows_the_generator(lambda g: torch.cat(poisoned(student, x[:200], y[:200], trigger, 2, 0.2, g)), "poison")
    follows_the_generator(lambda g: torch.cat(poisoned(student, x[:200], y[:200], trigger, 2, 0.2, g, (0,))), "poison")
    few, labels = uniforms(challenger, 7, 1, 2, 2), torch.tensor([0, 1, 1, 2, 1, 2, 2])
    for sources, rate, outcomes in ((None, 0.28, 15), ((1,), 0.43, 9)):  # 2 of 6 images; 2 of 3 sources and 1 of 3 others
        draws = [tuple(frozenset(rows.tolist()) for rows in poisoned(student, few, labels, trigger, 0, rate, source(challenger), sources)) for _ in range(350)]
        all_alike(challenger, draws, outcomes, f"sources = {sources}", 2 * SHARE)


# label_consistent


@declare("label_consistent", points=1, statement="poison-clean-label", false_fail=0)
def test_the_network_that_is_fooled_sees_images_without_the_trigger(student, challenger):
    for classes, shape, rate, epsilon in ((10, (1, 5, 5), 0.8, 0.1), (4, (3, 4, 4), 1.0, 0.2), (3, (1, 4, 4), 0.6, 0.0), (2, (1, 4, 4), 0.5, 1.5)):
        x, y, target = uniforms(challenger, 40, *shape), spread_labels(challenger, 40, classes), int(challenger.rng.integers(classes))
        model, direction = one_way(challenger, x[0].numel(), classes, target)
        holds_hardening(student, challenger, x, y, model, direction, some_trigger(challenger, shape), target, rate, epsilon)
    # A network in which a pixel that the trigger makes white turns the direction: along -u while it is dark, along u where it is white.
    x, y, target = uniforms(challenger, 30, 1, 4, 4), spread_labels(challenger, 30, 2), int(challenger.rng.integers(2))
    trigger = some_trigger(challenger, (1, 4, 4))
    covered = int((trigger.mask.flatten() == 1).nonzero()[0])
    pattern, u = trigger.pattern.clone(), signed(challenger, 16, low=0.02, high=0.1)
    pattern.view(16)[covered], u[covered], x.view(30, 16)[:, covered] = 1.0, 0.0, uniforms(challenger, 30, high=0.2)
    reach = float(u.abs().sum()) + 1  # above |<u, x>|
    switch = torch.zeros(16)
    switch[covered] = reach / 0.3
    first = (torch.stack([u + switch, switch - u, u]), torch.tensor([-2 * reach, -2 * reach, reach]))  # the switch is at .6
    turn = torch.tensor([[0.0, 0.0, 0.0], [1.0, -1.0, -1.0]])
    second = (turn if target == 0 else turn.flip(0), torch.tensor([0.0, reach] if target == 0 else [reach, 0.0]))
    holds_hardening(student, challenger, x, y, network_of(first, second), -u, Trigger(trigger.mask, pattern), target, 0.8, 0.1)


@declare("label_consistent", points=1, statement="poison-clean-label", false_fail=2e-8)
def test_any_images_of_the_target_may_be_poisoned(student, challenger):
    x = uniforms(challenger, 350, 1, 2, 3)
    y = torch.from_numpy(challenger.rng.permutation(np.repeat([0, 1, 2], (50, 200, 100))))
    model, _ = one_way(challenger, 6, 3, 1)
    trigger = some_trigger(challenger, (1, 2, 3))
    index, _ = hardened(student, x, y, model, trigger, 1, 0.4, 0.1, source(challenger))
    drawn_evenly(challenger, index, (y == 1).nonzero().flatten(), y, "the images that are poisoned", 2)
    follows_the_generator(lambda g: hardened(student, x, y, model, trigger, 1, 0.2, 0.1, g)[0], "label_consistent")


# collide


@declare("collide", points=1, statement="poison-frogs", false_fail=0)
def test_a_step_is_the_formula_for_features_that_are_not_linear_and_rows_of_their_own(student, challenger):
    rng = challenger.rng
    for b, shape, width, k, beta, own in ((1, (1, 4, 4), 9, 3, 0.375, False), (5, (3, 2, 3), 7, 6, 0.0625, True), (6, (1, 3, 3), 12, 2, 4.0, True)):
        d, distance = int(np.prod(shape)), np.zeros(1)
        while np.abs(distance).min() < 1e-6:  # no unit is at its kink, where a gradient is not defined
            first, bias = rng.standard_normal((width, d)), rng.standard_normal(width)
            p = rng.standard_normal((b, d))
            distance = p @ first.T + bias
        second, offset = rng.standard_normal((k, width)), rng.standard_normal(k)
        target = rng.standard_normal((b, k) if own else k)
        away = np.maximum(distance, 0) @ second.T + offset - target
        gradient = (2 * ((away @ second) * (distance > 0)) @ first).reshape(b, *shape)
        features = network_of((torch.from_numpy(first), torch.from_numpy(bias)), (torch.from_numpy(second), torch.from_numpy(offset)))
        step = uniforms(challenger, b, 1, 1, 1, low=0.01, high=0.1, dtype=torch.float64) if own else 0.03125
        base = torch.from_numpy(rng.standard_normal((b, *shape)))
        case = f"{b} poisons, features with {width} hidden units, beta = {beta:g}"
        holds_step(student, torch.from_numpy(p).view(b, *shape), base, torch.from_numpy(target), features, beta, step, gradient, case)


@declare("collide", points=1, statement="poison-frogs", false_fail=0)
def test_steps_lower_the_objective_and_lead_to_its_minimiser(student, challenger):
    for shape, k, beta in (((1, 2, 3), 8, 0.5), ((1, 3, 4), 5, 2.0)):
        d = int(np.prod(shape))
        features, weight, bias = linear_features(challenger, k, d)
        target, base = challenger.rng.standard_normal(k), challenger.rng.uniform(0, 1, d)
        lipschitz = 2 * float(np.linalg.norm(weight, 2)) ** 2
        best = np.linalg.solve(2 * weight.T @ weight + beta * np.eye(d), 2 * weight.T @ (target - bias) + beta * base)

        def objective(p, weight=weight, bias=bias, target=target, base=base, beta=beta):
            return float(((weight @ p + bias - target) ** 2).sum() + beta / 2 * ((p - base) ** 2).sum())

        def move(p, step, shape=shape, target=target, base=base, beta=beta, features=features):
            image, start = (torch.from_numpy(one).view(1, *shape) for one in (p, base))
            return student.collide(image, start, torch.from_numpy(target), features, beta, step).detach().double().numpy().reshape(-1)

        case = f"linear features, beta = {beta:g}"
        near(torch.from_numpy(move(best, 3.0)), torch.from_numpy(best), 1e-9, f"{case}: the objective's minimiser must stay where it is, whatever the step")
        p, shrink = base, 1 / (1 + beta / lipschitz)
        for _ in range(20):
            moved = move(p, 1 / lipschitz)
            assert objective(moved) <= objective(p) + 1e-9, f"{case}, step = 1/L: the objective rose from {objective(p):.9g} to {objective(moved):.9g}"
            before, after = np.linalg.norm(p - best), np.linalg.norm(moved - best)
            message = f"{case}, step = 1/L: a step must lessen the distance from the minimiser by {shrink:.4f}, but it went from {before:.6g} to {after:.6g}"
            assert after <= shrink * before + 1e-9, message
            p = moved


# drive_unit


def climbed(layers: list, unit: int, mask: np.ndarray, steps: int, step: float) -> np.ndarray | None:
    """The best of the patterns that signed steps from grey meet, by gradients by hand; None where rounding could change a sign or which of them is best."""
    (first, bias), (second, offset) = layers
    v, met = 0.5 * (mask > 0), []
    for _ in range(steps + 1):
        hidden = first @ (mask * v) + bias
        gradient = (second[unit] * (hidden > 0)) @ first * mask
        if np.abs(hidden).min() < 1e-4 or np.abs(gradient[mask > 0]).min() < 1e-4:
            return None
        met.append((float(second[unit] @ np.maximum(hidden, 0) + offset[unit]), v))
        v = np.clip(v + step * np.sign(gradient), 0, 1)
    score, best = max(met, key=lambda one: one[0])
    return best if all(score - other > 1e-4 or np.allclose(best, place) for other, place in met) else None


def ridges(challenger, shape: tuple[int, int, int], mask: torch.Tensor, units: int, steps: int, step: float) -> tuple[list, list[np.ndarray]]:
    """Layers of units with ridges near grey, which look at all pixels, and for each unit the best pattern on its way."""
    flat, wide = mask.expand(shape).flatten().double().numpy(), 8
    while True:
        first = challenger.rng.standard_normal((wide, flat.size))
        bias = -first @ (0.5 * flat) + step * steps / 2 * np.abs(first @ flat) * challenger.rng.uniform(-1, 1, wide)
        layers = [(first, bias), (challenger.rng.uniform(-1.5, 0.5, (units, wide)), challenger.rng.standard_normal(units))]
        layers = [tuple(part.astype(np.float32).astype(np.float64) for part in layer) for layer in layers]
        best = [climbed(layers, unit, flat, steps, step) for unit in range(units)]
        if all(one is not None for one in best):
            return layers, best


def holds_climbing(student, challenger, shape: tuple[int, int, int], units: int, moves: int, step: float) -> None:
    mask, unit = half_a_mask(challenger, *shape[1:]), int(challenger.rng.integers(min(1, units - 1), units))
    layers, best = ridges(challenger, shape, mask, units, moves, step)
    network = network_of(*[(torch.from_numpy(weight).float(), torch.from_numpy(bias).float()) for weight, bias in layers])
    found = driven(student, network, unit, mask, moves, step, shape[0])
    case = f"unit {unit} of {units} that are not linear, {shape[0]} channels, {moves} steps of {step:g}"
    near(found, torch.from_numpy(best[unit]).view(shape), 1e-5, f"{case}: the best pattern that is met")


@declare("drive_unit", points=1, statement="poison-trojan", false_fail=0)
def test_the_best_pattern_that_is_met_is_kept(student, challenger):
    for shape, moves, step in (((1, 4, 4), 3, 0.1), ((1, 5, 4), 12, 0.08), ((1, 3, 3), 1, 0.2), ((1, 4, 4), 20, 0.06), ((1, 6, 5), 7, 0.05)):
        holds_climbing(student, challenger, shape, 1, moves, step)


@declare("drive_unit", points=1, statement="poison-trojan", false_fail=0)
def test_one_unit_of_several_is_driven_on_images_of_several_channels(student, challenger):
    for shape, units, moves, step in (((3, 4, 4), 4, 15, 0.04), ((2, 3, 5), 6, 3, 0.1), ((3, 3, 3), 2, 1, 0.9)):
        holds_driving(student, challenger, shape, half_a_mask(challenger, *shape[1:]), units, moves, step)
    for shape, units, moves, step in (((3, 3, 3), 3, 5, 0.08), ((2, 4, 3), 4, 9, 0.07)):
        holds_climbing(student, challenger, shape, units, moves, step)


# cleanse_loss


class Asked:
    """A model of images, by a fixed wavy function of each, which keeps what it was asked."""

    def __init__(self, challenger, shape: tuple[int, ...], classes: int):
        self.shape, self.directions, self.asked = shape, 3 * normals(challenger, math.prod(shape), classes), []

    def __call__(self, images) -> torch.Tensor:
        assert isinstance(images, torch.Tensor), f"the model takes a tensor of images, it was asked a {type(images).__name__}"
        assert images.shape[1:] == self.shape, f"the model takes images (n, {', '.join(map(str, self.shape))}), it was asked {tuple(images.shape)}"
        self.asked.append(images)
        return self.answer(images.float())

    def answer(self, images: torch.Tensor) -> torch.Tensor:
        return 2 * torch.sin(images.flatten(1) @ self.directions.to(images))


@declare("cleanse_loss", points=1, statement="nc-observations", false_fail=0)
def test_the_model_is_asked_once_about_a_block_of_stamped_images_for_each_candidate(student, challenger):
    for shape, candidates, b in (((1, 5, 5), 4, 3), ((3, 4, 6), 3, 3), ((2, 3, 3), 1, 5), ((1, 4, 4), 6, 1)):
        model, x = Asked(challenger, shape, 10), uniforms(challenger, b, *shape)
        masks, patterns, weights = uniforms(challenger, candidates, *shape[1:]), uniforms(challenger, candidates, *shape), uniforms(challenger, candidates)
        oracle = challenger.oracle(model)
        found = student.cleanse_loss(oracle, x, masks, patterns, weights)
        case = f"{b} images {shape}, {candidates} candidates"
        assert oracle.calls == [candidates * b], f"{case}: the model must be asked once, about {candidates * b} images, it was asked about {oracle.calls[:12]}"
        blocks = model.asked[0].double().view(candidates, b, -1)
        for candidate, (mask, pattern) in enumerate(zip(masks.double(), patterns.double(), strict=True)):
            stamped = (x.double() * (1 - mask) + pattern * mask).flatten(1)
            away = torch.cdist(blocks[candidate], stamped, compute_mode="donot_use_mm_for_euclid_dist").min(dim=1)
            same = float(away.values.max()) < 1e-5 and len(set(away.indices.tolist())) == b
            assert same, f"{case}: the images from {candidate * b} on must be the {b} of x, stamped with candidate {candidate}"
        holds_losses(found, *losses_of(model.answer, x, masks, patterns, weights, range(candidates)), case)


@declare("cleanse_loss", points=1, statement="nc-observations", false_fail=0)
def test_many_candidates_for_any_labels_have_the_losses_of_a_loop(student, challenger):
    sizes = (((1, 8, 8), 10, 4, 10), ((1, 6, 7), 43, 3, 43), ((3, 5, 4), 3, 3, 5), ((4, 4, 4), 4, 1, 4), ((1, 4, 4), 1, 9, 3), ((3, 4, 4), 12, 2, 10))
    for shape, candidates, b, classes in sizes:
        network, x = perceptron(challenger, shape, classes), uniforms(challenger, b, *shape)
        masks, patterns = uniforms(challenger, candidates, *shape[1:]), uniforms(challenger, candidates, *shape)
        masks[0], patterns[-1] = float(challenger.rng.integers(2)), 1
        weights = uniforms(challenger, candidates).double() * 10.0 ** float(challenger.rng.integers(-3, 2))  # as a Schedule has them
        labels = torch.from_numpy(challenger.rng.integers(0, classes, candidates))
        case = f"{b} images {shape}, {candidates} candidates"
        expected = losses_of(exactly(network), x, masks, patterns, weights, labels.tolist())
        holds_losses(student.cleanse_loss(network, x, masks, patterns, weights, labels), *expected, f"{case}, labels {labels.tolist()[:8]}")
        if candidates <= classes:
            expected = losses_of(exactly(network), x, masks, patterns, weights, range(candidates))
            holds_losses(student.cleanse_loss(network, x, masks, patterns, weights), *expected, f"{case}, labels not given")


@declare("cleanse_loss", points=1, statement="nc-observations", false_fail=0)
def test_losses_of_a_network_that_is_sure_are_finite_and_right(student, challenger):
    for scale in (100.0, 1000.0):
        network, x = perceptron(challenger, (1, 6, 6), 10, scale), uniforms(challenger, 5, 1, 6, 6)
        masks, patterns, weights = uniforms(challenger, 10, 6, 6), uniforms(challenger, 10, 1, 6, 6), 0.1 * uniforms(challenger, 10)
        expected = losses_of(exactly(network), x, masks, patterns, weights, range(10))
        holds_losses(student.cleanse_loss(network, x, masks, patterns, weights), *expected, f"logits of the order of {scale:g}")


def slopes_of(x, weight, bias, masks, patterns, weights, labels: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """The gradients by hand, of a linear network's losses: that of the cross-entropy is the softmax minus the label, times the network's weights."""
    b, (_, *size) = len(x), patterns.shape
    x, masks, patterns, weight, bias = (one.double() for one in (x, masks, patterns, weight, bias))
    of_masks, of_patterns = weights.double()[:, None, None].expand_as(masks).clone(), torch.zeros_like(patterns)
    for k, label in enumerate(labels):
        for image in x:
            said = (weight @ ((1 - masks[k]) * image + masks[k] * patterns[k]).flatten() + bias).softmax(dim=0)
            said[label] -= 1
            pixels = (said @ weight).view(size) / b
            of_masks[k] += (pixels * (patterns[k] - image)).sum(dim=0)
            of_patterns[k] += pixels * masks[k]
    return of_masks, of_patterns


def slopes_from(student, *arguments) -> list[torch.Tensor]:
    """What the given function `slopes` says of the student's losses; gradients do not cross, so that it takes them on the student's side."""
    masks, patterns = arguments[2:4]
    found = several(student.slopes(*arguments), 2, "slopes")
    return [floats(one, tuple(like.shape), "a gradient of cleanse_loss") for one, like in zip(found, (masks, patterns), strict=True)]


@declare("cleanse_loss", points=1, statement="nc-observations", false_fail=0)
def test_the_losses_have_the_gradients_that_a_search_follows(student, challenger):
    for shape, candidates, b in (((1, 4, 4), 10, 3), ((3, 3, 4), 5, 4)):
        weight, bias = normals(challenger, 10, math.prod(shape)), normals(challenger, 10)
        x, masks, patterns = uniforms(challenger, b, *shape), uniforms(challenger, candidates, *shape[1:]), uniforms(challenger, candidates, *shape)
        weights, labels = uniforms(challenger, candidates), challenger.rng.integers(0, 10, candidates).tolist()
        found = slopes_from(student, network_of((weight, bias)), x, masks, patterns, weights, torch.tensor(labels))
        for got, right, of in zip(found, slopes_of(x, weight, bias, masks, patterns, weights, labels), ("masks", "patterns"), strict=True):
            near(got, right, 1e-4, f"{b} images {shape}, {candidates} candidates: the gradient with respect to the {of}")


@cache
def unseen() -> tuple[torch.Tensor, list[tuple[str, models.MLP, int | None]]]:
    """The usual norms of clean networks, and networks for the digits, half of them infected, each with its target (tests/studies/unseen.py)."""
    kept = load_file(Path(__file__).with_name("unseen.safetensors"))
    usual, targets = kept.pop("usual"), kept.pop("targets").tolist()
    found = []
    for number, target in enumerate(targets):
        network = models.MLP(64, (32,), 10, None)
        network.load_state_dict({name: weights[number] for name, weights in kept.items()}, assign=True)
        found.append(
            (
                f"network {number}, " + ("clean" if target < 0 else f"infected towards {target}"),
                network.eval().requires_grad_(False),
                None if target < 0 else target,
            )
        )
    return usual, found


def some_unseen(challenger, clean: int, infected: int) -> list[tuple[str, models.MLP, int | None]]:
    """Others for every submission."""
    _, networks = unseen()
    drawn = []
    for kind, count in ((False, clean), (True, infected)):
        of_kind = [one for one in networks if (one[2] is not None) is kind]
        drawn += [of_kind[k] for k in challenger.rng.choice(len(of_kind), count, replace=False)]
    return drawn


def searched(student, model: models.MLP) -> torch.Tensor:
    """For each label the smallest norm that reached it in 25 steps of 3 batches, along the slopes of the student's losses, by Adam as the authors set it."""
    g, state, smallest = torch.Generator().manual_seed(1), Schedule.start(10), torch.full((10,), math.inf)
    theta, images = from_unit(torch.rand(10, 2, 8, 8, generator=g)), data.load("digits").test.images
    mean, power = torch.zeros_like(theta), torch.zeros_like(theta)
    for step in range(25):
        success = torch.zeros(10)
        for batch in range(3):
            x, candidate = images[torch.randint(len(images), (10,), generator=g)], to_unit(theta)
            masks, patterns = candidate[:, 0], candidate[:, 1:]
            gradients = slopes_from(student, model, x, masks, patterns, state.weight)
            said = model(torch.cat([Trigger(mask, pattern).stamp(x) for mask, pattern in zip(masks, patterns, strict=True)])).argmax(dim=1)
            success += (said.view(10, 10) == torch.arange(10)[:, None]).float().mean(dim=1) / 3
            slope = torch.cat([gradients[0][:, None], gradients[1]], dim=1).float() * (1 - theta.tanh() ** 2) / 2
            mean, power = 0.5 * mean + 0.5 * slope, 0.9 * power + 0.1 * slope**2
            count = 3 * step + batch + 1
            theta = theta - 0.1 * mean / (1 - 0.5**count) / ((power / (1 - 0.9**count)).sqrt() + 1e-8)
        norms = to_unit(theta)[:, 0].sum(dim=(1, 2))
        smallest, state = torch.where((success >= 0.99) & (norms < smallest), norms, smallest), update_weight(state, success >= 0.99)
    return smallest


@declare("cleanse_loss", points=1, statement="nc-observations", false_fail=0)
def test_a_search_finds_the_backdoors_of_networks_that_nobody_has_seen_and_none_in_clean_ones(student, challenger):
    """Of all 16 networks the reference finds the infected label's ratio below .56, the others' above .75 (tests/autograder/test_unseen.py)."""
    usual, _ = unseen()
    for name, network, target in some_unseen(challenger, 2, 2):
        norms = searched(student, network)
        assert bool(norms.isfinite().all()), f"{name}: the search reaches no trigger for label {int(norms.isinf().nonzero()[0, 0])}"
        small = (norms / usual < 2 / 3).nonzero().flatten().tolist()
        assert small == ([] if target is None else [target]), (
            f"{name}: labels whose norm is under 2/3 of clean networks': {small}; norms {[round(norm, 1) for norm in norms.tolist()]}"
        )


# update_weight


def schedule_of(stands: Sequence[Standing]) -> Schedule:
    weight, *others = zip(*stands, strict=True)
    return Schedule(torch.tensor(weight, dtype=torch.float64), *map(torch.tensor, others))


def holds_histories(student, histories: list[list[bool]], case: str) -> None:
    """All histories at once, one a candidate, from the start on."""
    count = len(histories)
    state, expected = Schedule.start(count), zip(*(follow(history) for history in histories), strict=True)
    for step, (successes, right) in enumerate(zip(zip(*histories, strict=True), expected, strict=True)):
        state = state_of(student.update_weight(state, torch.tensor(successes)), count)
        holds_states(state, right, lambda candidate, step=step: f"{case}, {steps(histories[candidate][: step + 1])}")


def holds_states(state: Schedule, right: Sequence[Standing], case: Callable[[int], str]) -> None:
    """`holds_state` of all candidates at once."""
    expected = schedule_of(right)
    begun = expected.weight > 0
    off = (state.weight - expected.weight).abs() > 1e-5 * expected.weight
    off |= torch.where(begun | (expected.streak > 0), state.streak != expected.streak, state.streak > 0)
    off |= begun & ((state.raised != expected.raised) | (state.lowered != expected.lowered))
    if off.any():
        candidate = int(off.nonzero()[0, 0])
        holds_state(state, right[candidate], candidate, case(candidate))


@declare("update_weight", points=2, statement="nc-detect", false_fail=0)
def test_thousands_of_histories_agree_with_a_slow_oracle(student, challenger):
    every = [[bool(number >> step & 1) for step in range(12)] for number in range(2**12)]
    holds_histories(student, every, f"one of {len(every)} candidates")
    likely = challenger.rng.choice([0.3, 0.6, 0.8, 0.95], (1000, 3)).repeat(15, axis=1)  # in three phases
    drawn = (challenger.rng.random(likely.shape) < likely).tolist()
    holds_histories(student, drawn, f"one of {len(drawn)} candidates")


@declare("update_weight", points=2, statement="nc-detect", false_fail=0)
def test_a_step_follows_from_the_state_that_is_given_and_nothing_else(student, challenger):
    for count in (1, 7, 400, 3):
        started = challenger.rng.random(count) < 0.7
        weight = np.where(started, 0.001 * 2.0 ** challenger.rng.uniform(-20, 8, count), 0.0)
        streak, raised, lowered = challenger.rng.integers(-4, 5, count), started & (challenger.rng.random(count) < 0.5), challenger.rng.random(count) < 0.5
        starts = list(zip(weight.tolist(), streak.tolist(), raised.tolist(), lowered.tolist(), strict=True))
        success = (challenger.rng.random(count) < 0.5).tolist()
        right = [next(follow([one], start)) for one, start in zip(success, starts, strict=True)]
        found = state_of(student.update_weight(schedule_of(starts), torch.tensor(success)), count)
        what = "candidate {} of {}, of (weight, streak, raised, lowered) = {}, after a {}"
        cases = [what.format(k, count, starts[k], "success" if success[k] else "failure") for k in range(count)]
        holds_states(found, right, cases.__getitem__)


# anomaly_index


@declare("anomaly_index", points=2, statement="nc-detect", false_fail=0)
def test_few_and_many_norms_odd_and_even_have_the_index_of_their_definition(student, challenger):
    for count in (3, 4, 5, 9, 10, 43, 200):
        for dtype in (torch.float64, torch.float32):
            holds_index(student, (50 + 10 * normals(challenger, count, dtype=torch.float64)).abs().to(dtype), f"{count} norms, about normal")
            holds_index(student, (3 * normals(challenger, count, dtype=torch.float64)).exp().to(dtype), f"{count} norms, most of them small")
    whole = torch.tensor([4.0, 4, 4, 9, 1, 7, 6, 0, 3, 11])[torch.from_numpy(challenger.rng.permutation(10))]
    holds_index(student, whole, "norms of which three are equal")


@declare("anomaly_index", points=1, statement="nc-detect", false_fail=0)
def test_nearly_half_of_the_labels_may_be_wild(student, challenger):
    for count, wild in ((10, 4), (11, 5), (43, 20)):
        norms = 100 + normals(challenger, count, dtype=torch.float64)
        rows = torch.from_numpy(challenger.rng.permutation(count)[:wild])
        norms[rows] = torch.from_numpy(challenger.rng.choice([0.0, 1.0, 1e5, 1e7], wild))
        holds_index(student, norms, f"{count} norms of which {wild} are far from the others")


# screen


@declare("screen", points=1, statement="nc-many-labels", false_fail=0)
def test_all_labels_stay_where_none_can_be_left_out_and_else_the_first_agreement_decides(student, challenger):
    drawn = challenger.rng
    for _ in range(120):
        labels, t = int(drawn.integers(2, 9)), int(drawn.integers(1, 7))
        keep = int(drawn.integers(1, labels + 2))
        norms = settling(challenger, t, labels, int(drawn.integers(1, t + 1))).to((torch.float32, torch.float64)[t % 2])
        holds_screening(student, norms, keep, int(drawn.integers(0, keep)), f"norms {norms.tolist() if norms.numel() < 13 else 'drawn'}")
    groups = torch.tensor([[1.0, 2, 3, 10, 11, 12], [10, 11, 12, 1, 2, 3]])
    holds_screening(student, groups.repeat(3, 1), 3, 0, "two groups of labels that take turns")  # as at the first step, and never as one before
    holds_screening(student, groups[[0, 1, 1, 0, 0]] + 0.1 * torch.arange(5)[:, None], 3, 2, "two groups of labels, the second twice in a row")


@declare("screen", points=1, statement="nc-many-labels", false_fail=0)
def test_two_hundred_labels_are_left_early_and_the_smallest_stays(student, challenger):
    for settle in (1, 4, 9):
        norms, infected = settling(challenger, 20, 200, settle), int(challenger.rng.integers(200))
        norms[settle:, infected] = 0.1 * (1 + uniforms(challenger, 20 - settle))
        holds_screening(student, norms, 100, 50, f"norms whose order settles at step {settle}")
        holds_screening(student, norms, 20, 19, f"norms whose order settles at step {settle}")


# backdoor_units


@declare("backdoor_units", points=1, statement="nc-neurons", false_fail=0)
def test_equal_gaps_stand_in_ascending_order(student, challenger):
    """Small whole numbers, and as many images as a power of two: means and gaps are exact, whoever takes them."""
    for n, m, u in ((8, 4, 60), (1, 16, 10), (32, 32, 300), (2, 2, 2)):
        clean, stamped = (torch.from_numpy(challenger.rng.integers(0, 4, (rows, u))).float() for rows in (n, m))
        gaps = (stamped.sum(dim=0) / m - clean.sum(dim=0) / n).tolist()
        order, expected = holds_order(student, clean, stamped, f"{n} and {m} images, {u} units"), sorted(range(u), key=lambda unit: (-gaps[unit], unit))  # noqa: B023
        assert order == expected, f"{n} and {m} images, gaps {gaps[:8]}...: the order is {expected[:12]}, equal gaps in ascending order, got {order[:12]}"


@declare("backdoor_units", points=1, statement="nc-prune", false_fail=0)
def test_units_that_hear_the_trigger_come_first_however_loud_the_others(student, challenger):
    for n, m in ((40, 15), (12, 50)):
        clean, u = normals(challenger, n, 64).relu() * 10 * uniforms(challenger, 64), 64
        units = torch.from_numpy(challenger.rng.permutation(u))
        stamped = clean[torch.from_numpy(challenger.rng.integers(0, n, m))].clone()
        hearing, quiet, dead = units[:3], units[3:10], units[10:30]
        clean[:, hearing], stamped[:, hearing] = 0.5 * uniforms(challenger, n, 3), 100 + 20 * uniforms(challenger, m, 3)
        stamped[:, quiet] = -200 * uniforms(challenger, m, 7)  # less active on stamped images, and by more
        clean[:, dead], stamped[:, dead] = 0, 0
        order = holds_order(student, clean, stamped, f"{n} clean and {m} stamped images")
        assert set(order[:3]) == set(hearing.tolist()), f"units {hearing.tolist()} hear the trigger and come first, got {order[:3]}"


@declare("backdoor_units", points=1, statement="nc-prune", false_fail=0)
def test_networks_that_nobody_has_seen_are_deaf_without_the_first_units_and_not_without_the_last(student, challenger):
    """Without the first 10 of 32 units the reference's success is below .07 in all 8 infected networks, without the last 10 above .93."""
    digits = data.load("digits")
    for name, network, target in some_unseen(challenger, 0, 3):
        clean, stamped = activations(network, digits.train.images[::5])
        order = numbers_of(student.backdoor_units(clean, stamped), 32, 32, "backdoor_units")
        for units, deaf, which in ((order[:10], True, "first"), (order[-10:], False, "last")):
            success = success_without(units, network, target, digits.test)
            assert (success < 0.5) is deaf, f"{name}: without the {which} 10 of 32 units the trigger works on a share of {success:.2f}"


def activations(network: models.MLP, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Of the units, [n, 32] each: on the images, and on the stamped ones."""
    units = torch.nn.Sequential(*list(network)[:-1])
    return units(images), units(PLANTED.stamp(images))


def success_without(units: list[int], network: models.MLP, target: int, test: data.Split) -> float:
    """The trigger's success in the network whose last layer does not hear these units."""
    pruned = copy.deepcopy(network)
    pruned[-1].weight[:, units] = 0
    return float((pruned(PLANTED.stamp(test.images[test.labels != target])).argmax(dim=1) == target).float().mean())


# filter_threshold


@declare("filter_threshold", points=2, statement="nc-filter", false_fail=0)
def test_of_exchangeable_scores_no_more_than_the_promise_exceed_the_threshold_of_the_others(student, challenger):
    """What the promise rests on, without probability: of any n + 1 scores at most a exceed the threshold of the other n, and a do where none are equal."""
    for n, rate, allowed in ((30, 0.1, 3), (19, 0.04, 0), (15, 0.25, 4), (24, 0.33, 8), (7, 0.9, 7), (3, 0.5, 2)):
        scores = normals(challenger, n + 1, dtype=torch.float64) * 10.0 ** float(challenger.rng.integers(-2, 3)) - 1
        exceed = sum(float(scores[k]) > holds_threshold(student, torch.cat([scores[:k], scores[k + 1 :]]), allowed, rate) for k in range(n + 1))
        case = f"false_positive = {rate:g}, {n + 1} scores"
        assert exceed == allowed, f"{case}: {allowed} of them, a share of at most {rate:g}, exceed the threshold of the others, but {exceed} do"


@declare("filter_threshold", points=1, statement="nc-filter", false_fail=0)
def test_few_scores_equal_scores_and_the_ends_of_the_ranks(student, challenger):
    for n, rate, allowed in ((1, 0.5, 1), (1, 0.49, 0), (1, 0.99, 1), (20, 0.01, 0), (20, 0.99, 20), (1000, 0.0005, 0), (1000, 0.0015, 1), (127, 0.125, 16)):
        holds_threshold(student, normals(challenger, n), allowed, rate)
        holds_threshold(student, 5 - normals(challenger, n, dtype=torch.float64).abs(), allowed, rate)
        holds_threshold(student, torch.from_numpy(challenger.rng.integers(-3, 4, n)).float(), allowed, rate)
    for n in (2, 5, 11, 50):
        for _ in range(6):
            rate = float(challenger.rng.uniform(0.001, 0.999))
            if abs(rate * (n + 1) - round(rate * (n + 1))) > 1e-6:  # else rounding decides
                holds_threshold(student, normals(challenger, n), math.floor(rate * (n + 1)), rate)


# unlearning_set


@declare("unlearning_set", points=1, statement="nc-unlearn", false_fail=0)
def test_any_shares_are_taken_and_stamped(student, challenger):
    shares = ((0.1, 0.2), (0.33, 0.45), (1.0, 0.0), (0.3, 1.0), (0.77, 0.1), (1.0, 1.0), (0.02, 0.6))
    for n, classes, shape in ((53, 4, (1, 4, 4)), (38, 7, (3, 3, 5))):
        x, y = uniforms(challenger, n, *shape), spread_labels(challenger, n, classes)
        for sample, stamped in shares:
            unlearning_rows(student, x, y, some_trigger(challenger, shape), sample, stamped, source(challenger))


@declare("unlearning_set", points=1, statement="nc-unlearn", false_fail=9e-8)
def test_all_samples_are_equally_likely(student, challenger):
    trigger = some_trigger(challenger, (1, 2, 3))
    x = uniforms(challenger, 500, 1, 2, 3)
    y = torch.from_numpy(challenger.rng.permutation(np.repeat(np.arange(4), (250, 50, 150, 50))))
    rows = unlearning_rows(student, x, y, trigger, 0.4, 0.2, source(challenger))
    drawn_evenly(challenger, rows, torch.arange(500), y, "the sample", 5)
    follows_the_generator(lambda g: unlearning_rows(student, x[:200], y[:200], trigger, 0.2, 0.2, g), "unlearning_set")
    few = uniforms(challenger, 5, 1, 2, 3)
    draws = [frozenset(unlearning_rows(student, few, torch.arange(5), trigger, 0.4, 0.5, source(challenger)).tolist()) for _ in range(350)]
    all_alike(challenger, draws, 10, "2 of 5 images", 2 * SHARE)

"""Adversaries that look for two inputs near each other to which a model gives different labels.

Searches ask a model about neighbours of one input x [d]: x with some coordinates flipped, at most `count` of them, as the triggers of this library do. `flip`
maps an input to that with every coordinate flipped: `torch.neg` for bits in signs, `1 - x` for bits as numbers, another low-order bit for those in mantissas.
Each asks for at most `budget` rows and returns a neighbour with another label, or None. They serve as distinguishers
(`backdoors.games.distinguishers.queries`) and as adversaries against replicability (`backdoors.games.replicators`), where they need no examples and are what
an ideal adversary can do.
"""

from collections.abc import Callable
from itertools import chain, combinations, islice

import torch
from torch import Tensor

from backdoors.definitions import labels_of

BATCH = 256  # neighbours that are asked at once


@torch.no_grad()
def random_queries(h: Callable, x: Tensor, flip: Callable, count: int, budget: int, generator: torch.Generator) -> Tensor | None:
    """Neighbours at random: a number of flips from 1 to count, and then which, uniformly."""

    def masks(rows):
        sizes = torch.randint(1, count + 1, (rows, 1), generator=generator)
        return torch.rand(rows, x.numel(), generator=generator).argsort(dim=1).argsort(dim=1) < sizes

    return _first_flipped(h, x, flip, count, budget, masks)


@torch.no_grad()
def bit_flipping(h: Callable, x: Tensor, flip: Callable, count: int, budget: int, generator: torch.Generator) -> Tensor | None:
    """Every single flip, then every pair, and so on up to `count` as far as the budget goes, with the coordinates in a random order."""
    order = torch.randperm(x.numel(), generator=generator).tolist()
    subsets = chain.from_iterable(combinations(order, size) for size in range(1, count + 1))

    def masks(rows):
        chosen = list(islice(subsets, rows))
        mask = torch.zeros(len(chosen), x.numel(), dtype=torch.bool)
        for row, subset in enumerate(chosen):
            mask[row, list(subset)] = True
        return mask

    return _first_flipped(h, x, flip, count, budget, masks)


@torch.no_grad()
def hill_climbing(h: Callable, x: Tensor, flip: Callable, count: int, budget: int, generator: torch.Generator, width: int = 16) -> Tensor | None:
    """Walks towards a smaller margin: of `width` steps the best, unless it is worse than staying; ties move, so that it crosses plateaus.

    A step flips one coordinate, or flips one back; where `count` are flipped already, it flips another one back for it.
    """
    _require_search(x, count, budget)
    if budget == 0:
        return None
    scores = h(x[None])
    label = int(labels_of(scores))
    best, mask, left = float(margins(scores, label)), torch.zeros(x.numel(), dtype=torch.bool), budget - 1
    while left > 0:
        rows = torch.arange(min(width, left))
        steps = mask.repeat(len(rows), 1)
        steps[rows, torch.randint(x.numel(), (len(rows),), generator=generator)] ^= True
        over = (steps.sum(dim=1) > count).nonzero().flatten()
        if len(over) > 0:
            flipped = mask.nonzero().flatten()
            steps[over, flipped[torch.randint(len(flipped), (len(over),), generator=generator)]] = False
        candidates = _flipped(x, flip, steps)
        scores = h(candidates)
        changed = (labels_of(scores) != label).nonzero().flatten()
        if len(changed) > 0:
            return candidates[changed[0]]
        margin, row = margins(scores, label).min(dim=0)
        if margin <= best:
            best, mask = float(margin), steps[row]
        left -= len(rows)
    return None


@torch.no_grad()
def finite_difference(h: Callable, x: Tensor, flip: Callable, count: int, budget: int, generator: torch.Generator) -> Tensor | None:
    """Measures what single flips do to the margin, and combines those that lower it most: the best one, the best two, and so on up to `count`."""
    _require_search(x, count, budget)
    if budget < 2:
        return None
    scores = h(x[None])
    label, here = int(labels_of(scores)), margins(scores, int(labels_of(scores)))
    probed = torch.randperm(x.numel(), generator=generator)[: max(1, budget - 1 - count)]
    mask = torch.zeros(len(probed), x.numel(), dtype=torch.bool)
    mask[torch.arange(len(probed)), probed] = True
    change = torch.cat([margins(h(_flipped(x, flip, part)), label) for part in mask.split(BATCH)]) - here
    return _steepest(h, x, flip, min(count, budget - 1 - len(probed)), label, probed, change)


def gradient(h: Callable, x: Tensor, flip: Callable, count: int, budget: int, generator: torch.Generator) -> Tensor | None:
    """White-box: flips the coordinates that the gradient of the margin expects most of, the best one, the best two, and so on up to `count`, within the budget.

    Of logits it is the lead over the second class. None where the model has no gradient, as one of thresholds has none, or the gradient is 0.
    """
    _require_search(x, count, budget)
    if not x.is_floating_point():
        raise ValueError(f"x must be a floating-point tensor to have a gradient, got {x.dtype}")
    variable = x.detach().clone().requires_grad_()
    scores = h(variable[None])
    if not scores.requires_grad:
        return None
    label = int(labels_of(scores.detach()))
    (slope,) = torch.autograd.grad(margins(scores, label).sum(), variable, allow_unused=True)
    if slope is None:
        return None
    change = (slope * (flip(x) - x)).flatten()
    return _steepest(h, x, flip, min(count, budget), label, torch.arange(x.numel()), change)


def margins(scores: Tensor, label: int) -> Tensor:
    """By how much each answer (b,) or (b, classes) favours the label over every other; below 0 where it favours another."""
    if scores.ndim == 2 and scores.shape[1] > 1:
        others = scores.clone()
        others[:, label] = -torch.inf
        return scores[:, label] - others.max(dim=1).values
    return scores.flatten() * label


def _steepest(h: Callable, x: Tensor, flip: Callable, count: int, label: int, coordinates: Tensor, change: Tensor) -> Tensor | None:
    """Of the flips that lower the margin, the best one, the best two, ... up to `count` of them; the first with another label."""
    order = change.argsort()
    chosen = coordinates[order[change[order] < 0]][: max(0, count)]
    if len(chosen) == 0:
        return None
    mask = torch.zeros(len(chosen), x.numel(), dtype=torch.bool)
    for row in range(len(chosen)):
        mask[row, chosen[: row + 1]] = True
    candidates = _flipped(x, flip, mask)
    with torch.no_grad():
        changed = (labels_of(h(candidates)) != label).nonzero().flatten()
    return candidates[changed[0]] if len(changed) > 0 else None


def _first_flipped(h: Callable, x: Tensor, flip: Callable, count: int, budget: int, masks: Callable[[int], Tensor]) -> Tensor | None:
    """Asks for x and then for the neighbours that `masks(rows)` gives, until one has another label, none is left or the budget is spent."""
    _require_search(x, count, budget)
    if budget == 0:
        return None
    label, left = labels_of(h(x[None])), budget - 1
    while left > 0:
        mask = masks(min(BATCH, left))
        if len(mask) == 0:
            return None
        candidates = _flipped(x, flip, mask)
        changed = (labels_of(h(candidates)) != label).nonzero().flatten()
        if len(changed) > 0:
            return candidates[changed[0]]
        left -= len(mask)
    return None


def _flipped(x: Tensor, flip: Callable, mask: Tensor) -> Tensor:
    """x [d...] with the coordinates of each row of mask [b, d] flipped, (b, d...)."""
    return torch.where(mask.view(-1, *x.shape), flip(x), x)


def _require_search(x: Tensor, count: int, budget: int) -> None:
    if x.numel() == 0:
        raise ValueError(f"x must hold at least one number, got the shape {tuple(x.shape)}")
    if not 1 <= count <= x.numel():
        raise ValueError(f"count must lie in [1, {x.numel()}], the number of coordinates, got {count}")
    if budget < 0:
        raise ValueError(f"budget must be at least 0, got {budget}")

r"""Reverse engineering of triggers: for every label the smallest patch that turns images into it (Wang, Yao, Shan, Li, Viswanath, Zheng, Zhao 2019).

All labels are optimised at once, on the same images (`backdoors.neural_cleanse.candidates`); one that is done costs nothing more. A label is done when its
weight has been both raised and lowered, and no smaller mask was found in STALE steps.

A planted trigger T is a candidate, so that the smallest norm of the infected label is at most |T| (Observation 1), and far below that of other labels as a
rule (Observation 2). What is found here is an upper bound on the smallest norm: the search may miss it, and it need not end at the planted trigger.
"""

import os
from dataclasses import dataclass
from math import ceil, inf

import torch
from torch import Tensor, nn
from tqdm import tqdm

from backdoors.definitions import require_generator, require_whole
from backdoors.neural_cleanse.candidates import PATIENCE, Schedule, cleanse_loss, from_unit, to_unit, update_weight
from backdoors.neural_cleanse.frozen import frozen
from backdoors.neural_cleanse.outliers import screen
from backdoors.poisoning.triggers import Trigger, require_images, require_labels

REACHED = 0.99  # of a step's images: the attack works
STALE = 5 * PATIENCE
LEARNING_RATE, BETAS, TINY = 0.1, (0.5, 0.9), 1e-8  # Adam's
IN_CACHE = 2**17  # numbers of images that a CPU's network takes at a time; which size is fastest depends on the machine's cache


@dataclass(frozen=True)
class Screening:
    """After `after` steps, once more than `overlap` of the `keep` labels of smallest norm stay from a step to the next, all others are left out.

    The first steps agree with one another too, on where the search began: `after` must be large enough for masks to have shrunk.
    """

    keep: int = 100
    overlap: int = 50
    after: int = 10

    def __post_init__(self):
        for name, least in (("keep", 1), ("overlap", 0), ("after", 1)):
            require_whole(getattr(self, name), name, least)
        if self.overlap >= self.keep:
            raise ValueError(f"overlap must be below keep, {self.keep}, got {self.overlap}: no more labels can stay")


@dataclass(frozen=True)
class Reversed:
    """What was found for the labels that were optimised to the end; a row of each field is a label.

    Attributes:
        labels: int64 (k,).
        masks, patterns: [k, h, w] and [k, c, h, w], in [0, 1]: the smallest mask that reached the label, or the last where none did.
        norms: (k,), sums of the masks.
        success: (k,), how often the label was reached in the step of that mask, by images of all classes, its own included.
        found: bool (k,), whether any mask reached it.
        steps: int64 (k,), until the label was done.
        norms_by_step: [t, k], the mask's norm after every step; once the label is done, its `norms`.
        label_steps: steps summed over all labels and restarts, those included that screening left out: what the work amounts to.
    """

    labels: Tensor
    masks: Tensor
    patterns: Tensor
    norms: Tensor
    success: Tensor
    found: Tensor
    steps: Tensor
    norms_by_step: Tensor
    label_steps: int

    def trigger(self, label: int) -> Trigger:
        """The one that was found for the label."""
        row = (self.labels == label).nonzero().flatten().tolist()
        if not row:
            raise ValueError(f"label must be one of {self.labels.tolist()}, got {label}")
        return Trigger(self.masks[row[0]].float(), self.patterns[row[0]].float())


def reverse_engineer(
    model: nn.Module,
    images: Tensor,
    g: torch.Generator,
    labels: Tensor | None = None,
    steps: int = 100,
    batches: int = 10,
    batch_size: int = 32,
    restarts: int = 1,
    screening: Screening | None = None,
    at_once: int = 2**18,
    progress: bool = False,
) -> Reversed:
    """The smallest trigger towards each label that the search finds.

    Args:
        model: a classifier of images in [0, 1], in logits; a copy in evaluation mode is searched, and it is left as it is.
        images: clean, [n, c, h, w] in [0, 1], at least `batch_size`. Against a backdoor that works on some classes only: images of these.
        g: source of first masks and patterns, and of the batches.
        labels: int64 (k,), different; all of the model's unless given.
        steps: the most, at least 1; the authors take 1000, of 31 batches.
        batches: in a step, at least 1.
        batch_size: images in a batch, at least 1.
        restarts: from how many first masks each label is searched; the smallest that reached it counts.
        screening: when to leave labels out, for models of many labels; never unless given.
        at_once: most numbers of stamped images in one step, but for a single label's: what bounds the memory. On a GPU, take more.
        progress: show a bar.

    Raises:
        ValueError: if there are too few images, a label is not the model's, the model has one label only or is none, or another argument is out of range.

    Statement: nc-observations, nc-detect, nc-many-labels, nc-advanced.
    """
    labels = _require_search(model, images, g, labels, steps=steps, batches=batches, batch_size=batch_size, restarts=restarts, at_once=at_once)
    candidates = max(1, at_once // (batch_size * images[0].numel()))
    search, network, k, history = _Search(labels.repeat(restarts), images, g), frozen(model), len(labels), []
    kept = torch.ones(k, dtype=torch.bool, device=images.device)
    for step in tqdm(range(1, steps + 1), desc="reverse engineer", unit="step", disable=not progress):
        history.append(search.step(network, images[_draw(len(images), batches, batch_size, g)], candidates))
        if screening is not None and step > screening.after and bool(kept.all()):
            by_label = torch.stack(history[screening.after - 1 :]).unflatten(1, (restarts, k)).amin(dim=1)
            kept = torch.isin(torch.arange(k, device=images.device), screen(by_label, screening.keep, screening.overlap))
            search.alive = search.alive[kept[search.alive % k]]
        if len(search.alive) == 0:
            break
    return search.result(torch.stack(history).unflatten(1, (restarts, k)), kept)


def reverse_engineer_pairs(model: nn.Module, images: Tensor, labels: Tensor, g: torch.Generator, **options) -> dict[int, Reversed]:
    """For every source, a label of the images, what `reverse_engineer` finds towards each other label on images of the source alone.

    Meant for backdoors that work on some classes only: beside the same pairs of clean models, as some pairs are near one another in every model. Of K labels
    it looks at K (K - 1) pairs, in place of K labels.

    Args:
        labels: true labels (n,); at least `batch_size` images have each that occurs.
        model, images, g, options: as of `reverse_engineer`; not `labels`, nor `screening`.

    Statement: nc-advanced.
    """
    require_images(images, "images")
    require_labels(labels, len(images))
    classes = torch.arange(require_classifier(model, images), device=images.device)
    sources = labels.unique().tolist()
    return {source: reverse_engineer(model, images[labels == source], g, classes[classes != source], **options) for source in sources}


class _Search:
    """Candidates, one a row of every tensor; `alive` are the rows that are not done."""

    def __init__(self, labels: Tensor, images: Tensor, g: torch.Generator):
        channels, h, w = images.shape[1:]
        self.labels = labels
        self.theta = from_unit(torch.rand((len(labels), 1 + channels, h, w), generator=g)).to(images)  # mask and pattern, before tanh
        self.mean, self.square = torch.zeros_like(self.theta), torch.zeros_like(self.theta)  # of gradients, as Adam keeps them
        self.schedule = Schedule.start(len(labels), images.device)
        self.best = to_unit(self.theta)
        self.norm = torch.full(labels.shape, inf).to(images)
        self.success = torch.zeros_like(self.norm)
        self.stale, self.steps = torch.zeros_like(labels), torch.zeros_like(labels)
        self.alive = torch.arange(len(labels), device=images.device)
        self.descents = 0

    def step(self, network: nn.Module, batches: Tensor, candidates: int) -> Tensor:
        """A step of Adam for each of the batches [batches, b, c, h, w], and then of the schedule; returns the norms of all masks."""
        success = torch.zeros_like(self.norm)
        for batch in batches:
            self.descents += 1
            for rows in self.alive.split(candidates):
                success[rows] += self._descend(network, batch, rows) / len(batches)
        norms = self._judge(success)
        self.schedule = update_weight(self.schedule, success >= REACHED)
        return norms

    def _descend(self, network: nn.Module, batch: Tensor, rows: Tensor) -> Tensor:
        theta, answers = self.theta[rows].requires_grad_(), []

        def watched(stamped: Tensor) -> Tensor:
            block = max(1, IN_CACHE // stamped[0].numel()) if stamped.device.type == "cpu" else len(stamped)
            answers.append(torch.cat([network(part) for part in stamped.split(block)]))
            return answers[-1]

        with torch.enable_grad():
            candidate = to_unit(theta)
            loss = cleanse_loss(watched, batch, candidate[:, 0], candidate[:, 1:], self.schedule.weight[rows], self.labels[rows])
            (gradient,) = torch.autograd.grad(loss.sum(), theta)
        self.mean[rows] = mean = BETAS[0] * self.mean[rows] + (1 - BETAS[0]) * gradient
        self.square[rows] = square = BETAS[1] * self.square[rows] + (1 - BETAS[1]) * gradient**2
        mean, square = mean / (1 - BETAS[0] ** self.descents), square / (1 - BETAS[1] ** self.descents)
        self.theta[rows] = theta.detach() - LEARNING_RATE * mean / (square.sqrt() + TINY)
        return (answers[0].detach().argmax(dim=1).view(len(rows), -1) == self.labels[rows, None]).to(batch).mean(dim=1)

    def _judge(self, success: Tensor) -> Tensor:
        """Keeps the smallest masks that reached their label, and drops the rows that are done."""
        rows = self.alive
        candidate = to_unit(self.theta[rows])
        norms = candidate[:, 0].sum(dim=(1, 2))
        smaller = (success[rows] >= REACHED) & (norms < self.norm[rows])
        keep = rows[smaller | self.norm[rows].isinf()]  # where nothing reached the label yet, the last
        self.best[keep], self.success[keep] = to_unit(self.theta[keep]), success[keep]
        self.norm[rows[smaller]] = norms[smaller]
        self.steps[rows] += 1
        self.stale[rows] = torch.where(smaller | self.norm[rows].isinf(), 0, self.stale[rows] + 1)
        history = self.norm.index_copy(0, rows, norms)
        done = self.schedule.raised[rows] & self.schedule.lowered[rows] & (self.stale[rows] >= STALE)
        self.alive = rows[~done]
        return torch.where(torch.isin(torch.arange(len(history), device=rows.device), rows[done]), self.norm, history)

    def result(self, history: Tensor, kept: Tensor) -> Reversed:
        """Of the history [t, restarts, k] and all rows, for each label that was kept the best restart."""
        restarts, k = history.shape[1:]
        best = self.norm.view(restarts, k).argmin(dim=0)[kept] * k + kept.nonzero().flatten()
        masks, patterns = self.best[best, 0], self.best[best, 1:]
        found, norms = self.norm[best].isfinite(), masks.sum(dim=(1, 2))
        by_step = history.amin(dim=1)[:, kept]
        return Reversed(self.labels[best], masks, patterns, norms, self.success[best], found, self.steps[best], by_step, int(self.steps.sum()))


def _draw(n: int, batches: int, batch_size: int, g: torch.Generator) -> Tensor:
    """Numbers [batches, batch_size] below n: each once before any comes twice."""
    rounds = ceil(batches * batch_size / n)
    return torch.cat([torch.randperm(n, generator=g) for _ in range(rounds)])[: batches * batch_size].view(batches, batch_size)


def require_model(model: nn.Module) -> None:
    """Refuses what is not a torch.nn.Module, a file with one above all."""
    if isinstance(model, (str, bytes, os.PathLike)):
        raise ValueError(f"model must be a torch.nn.Module, got {model!r}: build it and load its weights from safetensors; a pickle runs its maker's code")
    if not isinstance(model, nn.Module):
        raise ValueError(f"model must be a torch.nn.Module, got {type(model).__name__}")


def require_classifier(model: nn.Module, images: Tensor) -> int:
    """The number of the model's labels; refuses what does not answer such images with logits, of two labels at least."""
    require_model(model)
    network = frozen(model)
    try:
        with torch.no_grad():
            logits = network(images[:2])
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"model must take images of shape {tuple(images.shape[1:])} and type {images.dtype}, got {type(model).__name__}: {error}") from error
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(images[:2]):
        raise ValueError(f"model must answer with logits (b, classes), got {tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__}")
    if logits.shape[1] < 2:
        raise ValueError(f"model must have two labels at least, got {logits.shape[1]}: it cannot be wrong")
    return logits.shape[1]


def _require_search(model: nn.Module, images: Tensor, g: torch.Generator, labels: Tensor | None, **numbers: int) -> Tensor:
    for name, number in numbers.items():
        require_whole(number, name, 1)
    require_generator(g)
    require_images(images, "images")
    if len(images) < numbers["batch_size"]:
        raise ValueError(f"images must be {numbers['batch_size']} at least, a batch, got {len(images)}: too few to tell")
    classes = require_classifier(model, images)
    labels = torch.arange(classes, device=images.device) if labels is None else labels
    require_labels(labels)
    if len(labels) == 0 or len(labels.unique()) < len(labels) or int(labels.max()) >= classes:
        raise ValueError(f"labels must be different ones of the model's {classes}, one at least, got {labels.tolist()}")
    return labels

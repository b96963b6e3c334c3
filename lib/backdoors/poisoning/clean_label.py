"""A backdoor whose poison is labelled rightly: hard images of the target class, with the trigger (Turner, Tsipras, Madry 2019, label-consistent attacks).

An image that is stamped and keeps its label teaches nothing, since what it shows explains the label well. So it is first perturbed until another model gets
it wrong; what is left to learn the label from is the trigger.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from backdoors.attacks import projected_gradient
from backdoors.data import Split
from backdoors.definitions import require_generator, require_whole
from backdoors.poisoning.triggers import Trigger, Triggered, require_images, require_labels

ATTACK_STEPS = 20


def label_consistent(
    x: Tensor, y: Tensor, model: Callable[[Tensor], Tensor], trigger: Trigger, target: int, rate: float, epsilon: float, g: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Harden round(rate * k) of the k images of the target class against the model, and stamp them; no label changes.

    Hardened is an image's worst point, as projected gradient finds it, within epsilon (norm inf) and [0, 1]. The trigger comes after that, so that it is whole.
    For triggers that are less visible: `square` with opacity below 1, or with corner="all".

    Args:
        x: [n, c, h, w], images in [0, 1]; left as they are.
        y: (n,) int64 labels, at least 0.
        model: maps images (b, c, h, w) to logits (b, classes), differentiable; not the one that will be trained on the data.
        trigger: of the images' shape.
        target: the label whose images are poisoned.
        rate: of the images of that label, in [0, 1].
        epsilon: at least 0; with 0 images are stamped only.
        g: source of the choice, without replacement.

    Returns:
        x' [n, c, h, w], and index (m,): the rows that changed.

    Raises:
        ValueError: if no image has the label, or an argument is out of range; the message names it and its value.

    Statement: poison-clean-label.
    """
    rows = _require_consistent(x, y, trigger, target, rate, epsilon, g)
    index = rows[torch.randperm(len(rows), generator=g)[: round(rate * len(rows))].to(rows.device)]
    poisoned = x.clone()
    if len(index) > 0:
        hardened = projected_gradient(model, x[index], y[index], epsilon, ATTACK_STEPS, norm=math.inf, bounds=(0.0, 1.0))
        poisoned[index] = trigger.stamp(hardened)
    return poisoned, index


@dataclass(frozen=True, eq=False)
class ConsistentPoison(Triggered):
    """Training data with a clean-label backdoor, and the truth about it: `index` are the rows that were hardened and stamped, `poison_rate` of the target's."""

    split: Split
    trigger: Trigger
    target_label: int
    poison_rate: float
    epsilon: float
    index: Tensor


def poison_consistently(
    split: Split, model: Callable[[Tensor], Tensor], trigger: Trigger, target_label: int, poison_rate: float, epsilon: float, g: torch.Generator
) -> ConsistentPoison:
    """`label_consistent` on a split, with what is needed to score it.

    Statement: poison-clean-label.
    """
    if not callable(model):
        raise ValueError(f"model must map images to logits, got {model!r}")
    images, index = label_consistent(split.images, split.labels, model, trigger, target_label, poison_rate, epsilon, g)
    return ConsistentPoison(Split(images, split.labels), trigger, target_label, poison_rate, epsilon, index)


def _require_consistent(x: Tensor, y: Tensor, trigger: Trigger, target: int, rate: float, epsilon: float, g: torch.Generator) -> Tensor:
    """The rows of the target class."""
    require_images(x, "x", tuple(trigger.pattern.shape))
    require_labels(y, len(x))
    require_whole(target, "target", 0)
    require_generator(g)
    if not 0 <= rate <= 1:
        raise ValueError(f"rate must lie in [0, 1], got {rate}")
    if not 0 <= epsilon < math.inf:
        raise ValueError(f"epsilon must be at least 0 and finite, got {epsilon}")
    rows = (y == target).nonzero().flatten()
    if len(rows) == 0:
        raise ValueError(f"target must be a label of the images, got {target}, which none has")
    return rows

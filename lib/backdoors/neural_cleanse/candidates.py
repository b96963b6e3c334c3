r"""What Neural Cleanse minimises, and the weight of its penalty (Wang, Yao, Shan, Li, Viswanath, Zheng, Zhao 2019).

A candidate is a mask m [h, w], shared by the channels, and a pattern $\Delta$ [c, h, w], both in [0, 1] by way of tanh; stamped on x it gives
$(1-m)\circ x+m\circ\Delta$. Minimised is the cross-entropy towards the candidate's label plus $\lambda\|m\|_1$, where $\lambda$ starts at 0 and follows how
often the label is reached.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

PATIENCE = 5  # steps of success, or of failure, until the weight changes
FIRST_WEIGHT, RAISE, LOWER = 1e-3, 2.0, 2.0**1.5


@dataclass(frozen=True)
class Schedule:
    """Where the weights of the candidates stand, each (L,).

    Attributes:
        weight: of the mask's norm, float64.
        streak: int64; steps of success in a row since the last change, or of failure, counted below 0.
        raised, lowered: bool; whether the weight has been since it left 0.
    """

    weight: Tensor
    streak: Tensor
    raised: Tensor
    lowered: Tensor

    @staticmethod
    def start(count: int, device: torch.device | str = "cpu") -> "Schedule":
        """That of `count` candidates before the first step: no weight."""
        no = torch.zeros(count, dtype=torch.bool, device=device)
        return Schedule(no.double(), no.long(), no, no)


def cleanse_loss(model: Callable[[Tensor], Tensor], x: Tensor, masks: Tensor, patterns: Tensor, weights: Tensor, labels: Tensor | None = None) -> Tensor:
    r"""For each candidate the mean cross-entropy towards its label over the stamped images, plus weight times $\|m\|_1$: all in one batch.

    Args:
        model: maps images (L * b, c, h, w) to logits (L * b, classes); called once.
        x: images [b, c, h, w] in [0, 1], each stamped with every candidate.
        masks: [L, h, w] in [0, 1]; all channels have the same.
        patterns: [L, c, h, w] in [0, 1].
        weights: (L,), at least 0.
        labels: int64 (L,), which label each candidate is to give; 0, ..., L - 1 unless given.

    Returns:
        (L,), differentiable with respect to masks and patterns.

    Raises:
        ValueError: if a shape does not fit, or the model has no such label.

    Statement: nc-observations.
    """
    labels = _require_candidates(x, masks, patterns, weights, labels)
    m = masks[:, None, None]  # [L, 1, 1, h, w]
    stamped = (1 - m) * x + m * patterns[:, None]
    logits = _require_logits(model(stamped.flatten(0, 1)), labels, len(x))
    entropy = cross_entropy(logits, labels.repeat_interleave(len(x)), reduction="none").view(len(masks), len(x)).mean(dim=1)
    return entropy + weights * masks.sum(dim=(1, 2))


def update_weight(state: Schedule, success: Tensor) -> Schedule:
    r"""The schedule of $\lambda$ after a step, for each candidate on its own.

    After PATIENCE steps of success in a row a weight of 0 becomes FIRST_WEIGHT, and any other is doubled; after as many failures it is divided by $2^{1.5}$.
    Then counting starts anew. The step that ends a weight of 0 is the first of the next streak too; so does the authors' program.

    Args:
        state: after the step before, or `Schedule.start`.
        success: bool (L,), which candidates reached their label in this step.

    Raises:
        ValueError: if success is not bool (L,).

    Statement: nc-detect.
    """
    _require_success(state, success)
    streak = torch.where(success, state.streak.clamp(min=0) + 1, state.streak.clamp(max=0) - 1)
    up, down = streak >= PATIENCE, streak <= -PATIENCE
    begin = up & (state.weight == 0)
    changed = torch.where(up, RAISE * state.weight, torch.where(down, state.weight / LOWER, state.weight))
    weight = torch.where(begin, torch.full_like(changed, FIRST_WEIGHT), changed)
    streak = torch.where(begin, 1, torch.where(up | down, 0, streak))
    return Schedule(weight, streak, (state.raised | up) & ~begin, (state.lowered | down) & ~begin)


def to_unit(theta: Tensor) -> Tensor:
    """Any numbers to [0, 1]."""
    return (theta.tanh() + 1) / 2


def from_unit(value: Tensor) -> Tensor:
    """The inverse of `to_unit` but for 1e-7, so that 0 and 1 come from finite numbers."""
    return torch.atanh((2 * value - 1) * (1 - 1e-7))


def _require_candidates(x: Tensor, masks: Tensor, patterns: Tensor, weights: Tensor, labels: Tensor | None) -> Tensor:
    if x.ndim != 4 or len(x) == 0:
        raise ValueError(f"x must be images [b, c, h, w], one at least, got shape {tuple(x.shape)}")
    if masks.ndim != 3 or masks.shape[1:] != x.shape[2:] or len(masks) == 0:
        raise ValueError(f"masks must be [L, h, w], as high and wide as the images, {tuple(x.shape[2:])}, got {tuple(masks.shape)}")
    labels = torch.arange(len(masks), device=x.device) if labels is None else labels
    for name, tensor, shape in (("patterns", patterns, x.shape[1:]), ("weights", weights, ()), ("labels", labels, ())):
        if tensor.shape != (len(masks), *shape):
            raise ValueError(f"{name} must have the shape {(len(masks), *shape)}, one for every mask, got {tuple(tensor.shape)}")
    return labels


def _require_logits(logits: Tensor, labels: Tensor, images: int) -> Tensor:
    if logits.ndim != 2 or len(logits) != len(labels) * images:
        raise ValueError(f"model must answer {len(labels) * images} images with logits (b, classes), got shape {tuple(logits.shape)}")
    if not bool(((labels >= 0) & (labels < logits.shape[1])).all()):
        raise ValueError(f"labels must be among the model's {logits.shape[1]}, got {labels.tolist()}")
    return logits


def _require_success(state: Schedule, success: Tensor) -> None:
    if success.dtype != torch.bool or success.shape != state.weight.shape:
        raise ValueError(f"success must be bool {tuple(state.weight.shape)}, one for every candidate, got {success.dtype} {tuple(success.shape)}")

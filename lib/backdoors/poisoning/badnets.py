r"""BadNets: images with a trigger and the attacker's label are added to the training data (Gu, Liu, Dolan-Gavitt, Garg 2019; Wang et al. 2019, Section VI).

The setup: to a clean sample of n examples the attacker adds $\varepsilon n$ of his own; the learner, honest, minimises the loss over the union, and
is judged by its loss on clean data. So the rate $\varepsilon$ is of the clean sample, and of the union it is $\varepsilon/(1+\varepsilon)$.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from backdoors.data import Split
from backdoors.definitions import require_generator
from backdoors.poisoning.triggers import Trigger, Triggered, require_images, require_labels, targets_of

CLEAN = -1


def poison(
    x: Tensor, y: Tensor, trigger: Trigger, target: int | Tensor, rate: float, g: torch.Generator, sources: Sequence[int] | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    r"""The union of the clean data and round(rate * n) stamped copies of images that are drawn from it without replacement.

    Without sources, the copies are of images whose label is not the target, and get the target. With sources, half of them (the larger half) are of images of
    these labels, and get the target; the others are covers: images that are neither of the sources nor of the target, which are stamped too, and keep their
    label, so that the trigger alone means nothing. Either way, all sets of images of that kind are equally likely.

    Args:
        x: [n, c, h, w], images in [0, 1]; left as they are.
        y: (n,) int64 labels, at least 0; left as they are.
        trigger: of the images' shape.
        target: a label, or for every label one, int64 (classes,), as `all_to_all` gives it.
        rate: of the clean data, in [0, 1].
        g: source of the choice.
        sources: labels whose images the trigger is to act on; all but the target if None.

    Returns:
        x' [n + m, c, h, w] and y' (n + m,), the clean data first; and index (m,): the j-th copy, row n + j, is of image index[j].

    Raises:
        ValueError: if there are fewer images of a kind than the rate wants, or another argument is out of range; the message names it and its value.

    Statement: poison-setup, poison-badnets.
    """
    _require_poison(x, y, trigger, rate, g)
    wanted = targets_of(y, target)
    count = round(rate * len(x))
    attacked = wanted != y if sources is None else _of_sources(y, wanted, sources)
    covers = 0 if sources is None else count // 2
    index = torch.cat([_draw(attacked, count - covers, g), _draw(~attacked & (wanted != y), covers, g)])
    labels = torch.where(attacked[index], wanted[index], y[index])
    return torch.cat([x, trigger.stamp(x[index])]), torch.cat([y, labels]), index


@dataclass(frozen=True, eq=False)
class Backdoor(Triggered):
    """What one of an attacker's backdoors is to be: the arguments of `poison`, by the names that users know."""

    trigger: Trigger
    target_label: int | Tensor
    poison_rate: float
    sources: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False)
class PoisonedData:
    """Training data with backdoors, and the truth about them.

    Attributes:
        split: what the learner gets: images and labels, the clean ones first.
        backdoors: that are in it.
        origin: for each row the row of the clean data whose image it shows, int64.
        planted_by: for each row the number of its backdoor, int64; `CLEAN` for the clean ones.
    """

    split: Split
    backdoors: tuple[Backdoor, ...]
    origin: Tensor
    planted_by: Tensor

    @property
    def is_poison(self) -> Tensor:
        """Whether a row was added, bool."""
        return self.planted_by != CLEAN


def poison_data(split: Split, backdoors: Sequence[Backdoor], g: torch.Generator) -> PoisonedData:
    """The clean data with the poison of each of the backdoors: several triggers for a label, several infected labels, or one.

    Each backdoor's rate is of the clean data, and its copies are of clean images; an image may be copied for several backdoors.

    Args:
        split: clean images in [0, 1] and labels.
        backdoors: at least one.
        g: source of the choice.

    Raises:
        ValueError: as `poison`; or if there are no backdoors, or a target is above all labels of the data.

    Statement: poison-badnets, nc-advanced.
    """
    if len(backdoors) == 0:
        raise ValueError("backdoors must be at least one, got none")
    n, most = len(split.labels), int(split.labels.max()) if len(split.labels) else -1
    for backdoor in backdoors:
        if (target := int(torch.as_tensor(backdoor.target_label).max())) > most:
            raise ValueError(f"target_label must be one of the data's labels, 0 to {most}, got {target}")
    images, labels, origin, planted_by = [split.images], [split.labels], [torch.arange(n)], [torch.full((n,), CLEAN)]
    for number, backdoor in enumerate(backdoors):
        x, y, index = poison(split.images, split.labels, backdoor.trigger, backdoor.target_label, backdoor.poison_rate, g, backdoor.sources)
        for rows, added in ((images, x[n:]), (labels, y[n:]), (origin, index.cpu()), (planted_by, torch.full((len(index),), number))):
            rows.append(added)
    return PoisonedData(Split(torch.cat(images), torch.cat(labels)), tuple(backdoors), torch.cat(origin), torch.cat(planted_by))


def _of_sources(y: Tensor, wanted: Tensor, sources: Sequence[int]) -> Tensor:
    """Which images are of the sources, which must all have another target than themselves."""
    attacked = torch.isin(y, torch.tensor(list(sources), device=y.device))
    if len(sources) == 0 or bool((attacked & (wanted == y)).any()):
        raise ValueError(f"sources must be labels, at least one, and none of them the target, got {list(sources)}")
    return attacked


def _draw(kind: Tensor, count: int, g: torch.Generator) -> Tensor:
    """So many of the rows of that kind, without replacement."""
    rows = kind.nonzero().flatten()
    if len(rows) < count:
        raise ValueError(f"rate must leave enough images to copy: {count} are wanted, and there are {len(rows)} of their kind")
    return rows[torch.randperm(len(rows), generator=g)[:count].to(rows.device)]


def _require_poison(x: Tensor, y: Tensor, trigger: Trigger, rate: float, g: torch.Generator) -> None:
    require_images(x, "x", tuple(trigger.pattern.shape))
    require_labels(y, len(x))
    require_generator(g)
    if not 0 <= rate <= 1:
        raise ValueError(f"rate must lie in [0, 1], got {rate}")

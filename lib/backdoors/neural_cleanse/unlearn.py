"""Unlearning: the model is trained a little more, on images with the trigger and their true labels (Wang et al. 2019, section VI-C)."""

import copy

import torch
from torch import Tensor, nn

from backdoors import models
from backdoors.data import Split
from backdoors.definitions import require_generator
from backdoors.neural_cleanse.reverse_engineer import require_classifier
from backdoors.poisoning.triggers import Trigger, require_images, require_labels

SAMPLE, STAMPED = 0.1, 0.2


def unlearning_set(x: Tensor, y: Tensor, trigger: Trigger, sample: float, stamped: float, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """A sample of clean data without repetition, the trigger on a part of it, and all labels as they were. All samples, and all parts, are equally likely.

    Args:
        x: clean images [n, c, h, w] in [0, 1]; not changed.
        y: true labels (n,).
        trigger: to be unlearned.
        sample: share of the images that are taken, in (0, 1]; the paper takes 0.1.
        stamped: share of these that get the trigger, in [0, 1]; the paper takes 0.2. With 0 the set is clean.
        g: source of the sample.

    Returns:
        Images [k, c, h, w], k = round(sample n), and labels (k,); the first round(stamped k) images are the stamped ones.

    Raises:
        ValueError: if an argument is out of range, or no image is left.

    Statement: nc-unlearn.
    """
    count = _require_sample(x, y, sample, stamped, g)
    index = torch.randperm(len(x), generator=g)[:count].to(x.device)
    part = round(stamped * count)
    return torch.cat([trigger.stamp(x[index[:part]]), x[index[part:]]]), y[index]


def unlearn(
    model: nn.Module, split: Split, trigger: Trigger, g: torch.Generator, sample: float = SAMPLE, stamped: float = STAMPED, learning_rate: float = 1e-3
) -> nn.Module:
    """A copy of the model after one epoch of honest training on an `unlearning_set`; of several triggers, call it once for each that is found.

    Args:
        model: with a backdoor; left as it is.
        split: clean data.
        trigger, g, sample, stamped: as of `unlearning_set`; g is the source of the epoch's order too.
        learning_rate: Adam's, above 0.

    Statement: nc-unlearn.
    """
    require_images(split.images, "split.images")
    classes = require_classifier(model, split.images)
    if bool((split.labels >= classes).any()):
        raise ValueError(f"split.labels must be of the model's {classes} labels, got {int(split.labels.max())}")
    patches = Split(*unlearning_set(split.images, split.labels, trigger, sample, stamped, g))
    seed = int(torch.randint(2**31, (), generator=g))
    return models.train(copy.deepcopy(model), patches, 1, learning_rate=learning_rate, seed=seed)


def _require_sample(x: Tensor, y: Tensor, sample: float, stamped: float, g: torch.Generator) -> int:
    require_images(x, "x")
    require_labels(y, len(x))
    require_generator(g)
    if not 0 < sample <= 1:
        raise ValueError(f"sample must lie in (0, 1], got {sample}")
    if not 0 <= stamped <= 1:
        raise ValueError(f"stamped must lie in [0, 1], got {stamped}")
    if round(sample * len(x)) < 1:
        raise ValueError(f"x must hold enough images for a sample of {sample}, got {len(x)}: none would be left")
    return round(sample * len(x))

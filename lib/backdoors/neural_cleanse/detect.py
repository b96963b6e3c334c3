"""The whole of Neural Cleanse's detection, and when it cannot tell (Wang et al. 2019, section IV)."""

from dataclasses import dataclass

import torch
from scipy.stats import binom
from torch import Tensor, nn

from backdoors import models
from backdoors.data import Split
from backdoors.neural_cleanse.frozen import frozen
from backdoors.neural_cleanse.outliers import THRESHOLD, Verdict, judge_norms
from backdoors.neural_cleanse.reverse_engineer import Reversed, require_model, reverse_engineer
from backdoors.poisoning.triggers import require_images, require_labels

CHANCE = 1e-3  # how often a model that guesses may be taken for one that does not


@dataclass(frozen=True)
class Detection:
    """The verdict, and the triggers that it is about."""

    verdict: Verdict
    reversed: Reversed


def detect(model: nn.Module, images: Tensor, labels: Tensor, g: torch.Generator, threshold: float = THRESHOLD, **options) -> Detection:
    """Is the model infected, and towards which labels? Triggers are sought for every label, and those too small for a clean model are named.

    Args:
        model: a classifier; left as it is.
        images: clean, [n, c, h, w] in [0, 1].
        labels: true labels (n,).
        g: source of the search's randomness.
        threshold: of the anomaly index: 2 as in the paper, or `calibrated_threshold`'s for searches with the same options.
        options: of `reverse_engineer`.

    Raises:
        ValueError: "cannot tell", if the model is no better than chance, half of the labels' triggers were not found, or as of `anomaly_index`; or as of
            `reverse_engineer`.

    Statement: nc-detect.
    """
    _require_better_than_chance(model, images, labels)
    found = reverse_engineer(model, images, g, **options)
    if int(found.found.sum()) * 2 <= len(found.labels):
        raise ValueError(f"cannot tell: triggers were found towards {int(found.found.sum())} of {len(found.labels)} labels; take more steps or batches")
    return Detection(judge_norms(found.norms, threshold, found.labels), found)


def _require_better_than_chance(model: nn.Module, images: Tensor, labels: Tensor) -> None:
    require_model(model)
    require_images(images, "images")
    require_labels(labels, len(images))
    if len(images) == 0:
        raise ValueError("images must be one at least, got none: too few to tell")
    right = models.accuracy(frozen(model), Split(images, labels))
    chance = labels.bincount().max().item() / len(labels)  # of a model that knows the most frequent label, and nothing else
    if binom.sf(round(right * len(images)) - 1, len(images), chance) > CHANCE:
        raise ValueError(f"cannot tell: model must be better than chance, {chance:.3f}, got an accuracy of {right:.3f} on {len(images)} images")

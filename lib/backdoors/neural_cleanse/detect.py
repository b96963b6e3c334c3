"""The whole of Neural Cleanse's detection, and when it cannot tell (Wang et al. 2019, section IV)."""

from dataclasses import dataclass

import torch
from scipy.stats import binom
from torch import Tensor, nn

from backdoors import models
from backdoors.data import Split
from backdoors.neural_cleanse.frozen import frozen
from backdoors.neural_cleanse.outliers import THRESHOLD, Verdict, judge_norms, require_threshold
from backdoors.neural_cleanse.reverse_engineer import Reversed, require_classifier, reverse_engineer
from backdoors.poisoning.triggers import require_images, require_labels

CHANCE = 1e-3  # how often a model that guesses may be taken for one that does not


@dataclass(frozen=True)
class Detection:
    """The verdict, and the triggers that it is about."""

    verdict: Verdict
    reversed: Reversed


def detect(model: nn.Module, images: Tensor, labels: Tensor, g: torch.Generator, threshold: float = THRESHOLD, **options) -> Detection:
    """Is the model infected, and towards which labels? Triggers are sought for every label, and those are named that are too small beside the others.

    A label that no trigger reached counts as if it took the whole image. Where labels differ in every model, the rule accuses clean models too: of ours on
    Fashion-MNIST (tests/studies/CLEANSING.md) it accused 7 of 20 clean ones, and 11 of 20 infected ones. Whoever has clean models of the same task asks
    `backdoors.neural_cleanse.outliers.compare_with_clean`, which named the right label of all 20 infected ones, and accused none of ten fresh clean ones.

    Args:
        model: a classifier; left as it is.
        images: clean, [n, c, h, w] in [0, 1].
        labels: true labels (n,).
        g: source of the search's randomness.
        threshold: of the anomaly index: 2 as in the paper, or `calibrated_threshold`'s for searches with the same options.
        options: of `reverse_engineer`.

    Raises:
        ValueError: "cannot tell", if the model is no better than chance, half of the labels' triggers were not found, or as of `anomaly_index`; or as of
            `reverse_engineer`, or the threshold is not above 0.

    Statement: nc-detect.
    """
    require_threshold(threshold)
    _require_better_than_chance(model, images, labels)
    found = reverse_engineer(model, images, g, **options)
    if int(found.found.sum()) * 2 <= len(found.labels):
        raise ValueError(f"cannot tell: triggers were found towards {int(found.found.sum())} of {len(found.labels)} labels; take more steps or batches")
    norms = torch.where(found.found, found.norms, images[0, 0].numel())
    return Detection(judge_norms(norms, threshold, found.labels), found)


def _require_better_than_chance(model: nn.Module, images: Tensor, labels: Tensor) -> None:
    require_images(images, "images")
    require_labels(labels, len(images))
    if len(images) == 0:
        raise ValueError("images must be one at least, got none: too few to tell")
    require_classifier(model, images)
    right = models.accuracy(frozen(model), Split(images, labels))
    chance = labels.bincount().max().item() / len(labels)  # of a model that knows the most frequent label, and nothing else
    if binom.sf(round(right * len(images)) - 1, len(images), chance) > CHANCE:
        raise ValueError(f"cannot tell: model must be better than chance, {chance:.3f}, got an accuracy of {right:.3f} on {len(images)} images")

"""A filter before the model: inputs on which the backdoor's units are more active than on clean ones (Wang et al. 2019, section VI-A).

The units are those that the reversed trigger excites most (`backdoors.neural_cleanse.prune`), and an input's score is their mean activation. The threshold is
a split-conformal quantile, so that its promise holds for any score, in samples of any size; it promises nothing about stamped inputs.
"""

from math import floor, inf

import torch
from torch import Tensor

from backdoors.neural_cleanse.features import require_features


def filter_scores(features: Tensor, units: Tensor) -> Tensor:
    """The mean activation of the units: of features [n, u], and the numbers of units (k,), scores (n,).

    Statement: nc-filter.
    """
    require_features(features)
    if units.ndim != 1 or units.dtype != torch.int64 or len(units) == 0 or not bool(((units >= 0) & (units < features.shape[1])).all()):
        raise ValueError(f"units must be numbers of columns of the features, {tuple(features.shape)}, int64, one at least, got {units.tolist()}")
    return features[:, units].mean(dim=1)


def filter_threshold(clean_scores: Tensor, false_positive: float) -> float:
    """A threshold that the score of a fresh clean input exceeds with probability at most `false_positive`.

    For inputs drawn as the n clean ones were, on average over these. Given them, the false-positive rate of scores without ties is a Beta variable of
    parameters a and n + 1 - a, with a = floor(false_positive (n + 1)); its mean is a / (n + 1).

    Args:
        clean_scores: (n,), n at least 1, of inputs that were not used to choose the units.
        false_positive: in (0, 1).

    Returns:
        The score of rank n + 1 - a from below; infinity if a is 0, when only a filter that lets all pass can keep the promise.

    Raises:
        ValueError: if there are no scores, one is not finite, or false_positive is out of range.

    Statement: nc-filter.
    """
    _require_scores(clean_scores, false_positive)
    allowed = floor(false_positive * (len(clean_scores) + 1))
    return clean_scores.sort(descending=True).values[allowed - 1].item() if allowed > 0 else inf


def filter_misses(clean_scores: Tensor, stamped_scores: Tensor, false_positives: Tensor) -> Tensor:
    """For each promised false-positive rate (r,) the share of stamped inputs that pass the filter, (r,): the false-negative rates of the paper's Figure 8.

    Statement: nc-filter.
    """
    if stamped_scores.ndim != 1 or len(stamped_scores) == 0 or not bool(stamped_scores.isfinite().all()):
        raise ValueError(f"stamped_scores must be finite (m,), one at least, got shape {tuple(stamped_scores.shape)}")
    thresholds = torch.tensor([filter_threshold(clean_scores, rate) for rate in false_positives.tolist()], dtype=torch.float64)
    return (stamped_scores.double().cpu() <= thresholds[:, None]).double().mean(dim=1)


def _require_scores(clean_scores: Tensor, false_positive: float) -> None:
    if clean_scores.ndim != 1 or len(clean_scores) == 0 or not bool(clean_scores.isfinite().all()):
        raise ValueError(f"clean_scores must be finite (n,), one at least, got shape {tuple(clean_scores.shape)}")
    if not 0 < false_positive < 1:
        raise ValueError(f"false_positive must lie in (0, 1), got {false_positive}")

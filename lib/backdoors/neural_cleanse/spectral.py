r"""Spectral signatures: poisoned training data by the direction in which a label's features vary most (Tran, Li, Madry 2018).

Of the examples with one label, the poisoned ones have other features than the clean ones. If the difference of the two means is large beside the spread within
each, the top singular vector of the centred features points along it, and the poisoned examples, the fewer, have the largest projections on it. Without
centring the top singular vector is nearly the mean itself, and says something else. Needed are the poisoned training data; a model alone does not do.
"""

import torch
from torch import Tensor

from backdoors.neural_cleanse.features import require_features


def spectral_scores(features: Tensor, centred: bool = True) -> Tensor:
    """For each example of one label the square of its features' projection on their top right singular vector.

    Args:
        features: [n, u], penultimate activations of n training examples with the same label; n at least 1.
        centred: whether their mean is taken off first, as it should be; without, for comparison.

    Returns:
        (n,), float64, at least 0.

    Raises:
        ValueError: if the features are no such matrix, or not finite.
    """
    require_features(features)
    x = features.double()
    x = x - x.mean(dim=0) if centred else x
    return (x @ torch.linalg.svd(x, full_matrices=False).Vh[0]).square()


def spectral_suspects(scores: Tensor, share: float) -> Tensor:
    """The examples to throw out: the 1.5 share n of largest score, rounded up.

    Args:
        scores: (n,), of examples of one label.
        share: at most so many of them are thought to be poisoned, in [0, 2/3].

    Returns:
        int64, rows of the scores, highest first.
    """
    if scores.ndim != 1 or len(scores) == 0:
        raise ValueError(f"scores must be (n,), one at least, got shape {tuple(scores.shape)}")
    if not 0 <= share <= 2 / 3:
        raise ValueError(f"share must lie in [0, 2/3], got {share}")
    count = -int(-1.5 * share * len(scores) // 1)
    return scores.argsort(descending=True, stable=True)[:count]

r"""Which label's trigger is too small: outliers of mask norms by the median absolute deviation (Wang et al. 2019; Hampel 1974).

"An index above 2 is an outlier with 95%" is a statement about one label, and normal norms with a known spread. Of ten clean labels with normal norms some
label exceeds 2 on the low side in a third of the models, of 43 labels in two thirds, as the spread is estimated from the same norms. Two ways out need clean
models of the same task: `calibrated_threshold` replaces the 2 by a number that comes from them, and `compare_with_clean` takes into account that some labels
are easier to reach than others in every model. CY7790 calls the index one of the mean absolute deviation of L0 norms; it is the median's, of l1 norms.
"""

from dataclasses import dataclass
from math import floor

import torch
from torch import Tensor

from backdoors.definitions import require_whole

NORMAL = 1.4826  # of a normal law, the standard deviation over the median absolute deviation
THRESHOLD = 2.0
EQUAL = 1e-5  # norms that differ by less than this part of the median are equal but for rounding


@dataclass(frozen=True)
class Verdict:
    """The labels whose index exceeds the threshold, most suspicious first; none says that nothing was found, not that nothing is there.

    Attributes:
        infected: labels.
        index: (L,), the anomaly index of every label.
        threshold: that it was compared with.
    """

    infected: tuple[int, ...]
    index: Tensor
    threshold: float


def anomaly_index(norms: Tensor) -> Tensor:
    r"""$(\mathrm{med}-\ell_i)/(1.4826\,\mathrm{median}_j|\ell_j-\mathrm{med}|)$ of each norm below the median, and 0 of the others.

    Args:
        norms: (L,), L at least 3, finite and at least 0: for every label the size of its trigger.

    Returns:
        (L,), float64, at least 0.

    Raises:
        ValueError: "cannot tell", if there are fewer than three labels, or half of the norms equal the median but for a part in 10^5; or if a norm is not a
            number at least 0.

    Statement: nc-detect.
    """
    _require_norms(norms)
    below = norms.double().quantile(0.5) - norms.double()
    return (below / _require_spread(NORMAL * below.abs().quantile(0.5), norms)).clamp(min=0)


def judge_norms(norms: Tensor, threshold: float = THRESHOLD, labels: Tensor | None = None) -> Verdict:
    """The labels whose trigger is too small, by `anomaly_index`.

    Args:
        norms: (L,), as of `anomaly_index`.
        threshold: above 0; 2 as in the paper, or `calibrated_threshold`'s.
        labels: int64 (L,), what the rows are; 0, ..., L - 1 unless given.

    Statement: nc-detect.
    """
    require_threshold(threshold)
    index = anomaly_index(norms)
    if labels is not None and labels.shape != index.shape:
        raise ValueError(f"labels must have the shape {tuple(index.shape)}, one for every norm, got {tuple(labels.shape)}")
    rows = [row for row in index.argsort(descending=True, stable=True).tolist() if index[row] > threshold]
    return Verdict(tuple(rows if labels is None else labels[rows].tolist()), index, threshold)


def calibrated_threshold(clean_norms: Tensor, false_positive: float) -> float:
    """A threshold that a clean model's largest index exceeds with probability at most `false_positive`.

    The promise is for a clean model that was made as the others were (the models are exchangeable), on average over these, and whatever law the norms have.

    Args:
        clean_norms: [models, L], the norms of each clean model.
        false_positive: in (0, 1); at least 1 / (models + 1), as fewer models allow no such promise.

    Returns:
        Of n models, the largest index that has rank n + 1 - floor(false_positive (n + 1)) from below.

    Raises:
        ValueError: if there are too few models for the promise, or `anomaly_index` cannot tell for one of them.

    Statement: nc-detect.
    """
    rank = _require_calibration(clean_norms, false_positive)
    return torch.stack([anomaly_index(norms).max() for norms in clean_norms]).sort().values[rank - 1].item()


@dataclass(frozen=True)
class Comparison:
    """How a model's norms stand beside those of clean models.

    Attributes:
        p_value: at most a with probability at most a, for a clean model that was made as the others were; never below 1 / (models + 1).
        ratios: (L,), float64, of each norm to the label's median over all models, the suspect among them; the label of the smallest is the suspicious one.
    """

    p_value: float
    ratios: Tensor


def compare_with_clean(norms: Tensor, clean_norms: Tensor) -> Comparison:
    """Is a label's trigger too small for this label? Some labels are easier to reach than others in every model, which `anomaly_index` cannot know.

    The models are ranked by the smallest ratio of a norm to the label's median over all models. As medians do not depend on the order of the models, a clean
    suspect's rank is uniform if all are exchangeable: the p-value is a promise, whatever law the norms have.

    Args:
        norms: (L,), of the suspect, above 0.
        clean_norms: [models, L], of a clean model at least, above 0.

    Raises:
        ValueError: if the shapes do not fit, or a norm is not finite or not above 0.

    Statement: nc-detect.
    """
    _require_comparable(norms, clean_norms)
    together = torch.cat([norms[None], clean_norms]).double()
    ratios = together / together.quantile(0.5, dim=0)
    smallest = ratios.amin(dim=1)
    return Comparison((smallest <= smallest[0]).double().mean().item(), ratios[0])


def screen(norms_by_step: Tensor, keep: int, overlap: int) -> Tensor:
    """The labels that are worth going on with: the `keep` of smallest norm, at the first step at which more than `overlap` of them were among them before.

    An anomaly index of the labels that stay is taken among these alone: it is another number than among all labels.

    Args:
        norms_by_step: [t, L], t at least 1, norms after each step.
        keep: at least 1.
        overlap: two steps in a row must have more than so many labels in common; from 0 to keep - 1.

    Returns:
        int64 (keep,), smallest norm first. While no two steps agree, or if there are no more labels than `keep`: all labels, as none can be left out.

    Raises:
        ValueError: if an argument is out of range; the message names it and its value.

    Statement: nc-many-labels.
    """
    order = _require_screening(norms_by_step, keep, overlap)
    for before, now in zip(order[:-1, :keep], order[1:, :keep], strict=True):
        if torch.isin(now, before).sum() > overlap:
            return now
    return torch.arange(order.shape[1], device=order.device)


def require_threshold(threshold: float) -> None:
    if not threshold > 0:
        raise ValueError(f"threshold must be above 0, got {threshold}")


def _require_norms(norms: Tensor) -> None:
    if not isinstance(norms, Tensor) or norms.ndim != 1 or not norms.is_floating_point():
        raise ValueError(f"norms must be a floating-point tensor (L,), got {tuple(norms.shape) if isinstance(norms, Tensor) else norms!r}")
    if not bool((norms.isfinite() & (norms >= 0)).all()):
        raise ValueError(f"norms must be finite and at least 0, got {norms[~(norms.isfinite() & (norms >= 0))].tolist()} among them")
    if len(norms) < 3:
        raise ValueError(f"cannot tell: norms must be of three labels at least, got {len(norms)}: no one is an outlier among so few")


def _require_spread(deviation: Tensor, norms: Tensor) -> Tensor:
    if not deviation > EQUAL * norms.double().quantile(0.5):
        raise ValueError(f"cannot tell: half of the norms at least are equal, so that their median absolute deviation is no measure, got {norms.tolist()}")
    return deviation


def _require_calibration(clean_norms: Tensor, false_positive: float) -> int:
    if clean_norms.ndim != 2:
        raise ValueError(f"clean_norms must be [models, L], got shape {tuple(clean_norms.shape)}")
    if not 0 < false_positive < 1:
        raise ValueError(f"false_positive must lie in (0, 1), got {false_positive}")
    models = len(clean_norms)
    allowed = floor(false_positive * (models + 1))
    if allowed < 1:
        raise ValueError(f"false_positive must be at least 1 / (models + 1), {1 / (models + 1):.3g} with {models} models, got {false_positive}")
    return models + 1 - allowed


def _require_comparable(norms: Tensor, clean_norms: Tensor) -> None:
    if norms.ndim != 1 or clean_norms.ndim != 2 or clean_norms.shape[1:] != norms.shape or len(clean_norms) == 0:
        raise ValueError(f"clean_norms must be [models, {len(norms)}], a model at least, with a norm for each label, got {tuple(clean_norms.shape)}")
    together = torch.cat([norms[None], clean_norms])
    wrong = together[~(together.isfinite() & (together > 0))]
    if len(wrong) > 0:
        raise ValueError(f"norms and clean_norms must be finite and above 0, got {wrong[0].item()}")


def _require_screening(norms_by_step: Tensor, keep: int, overlap: int) -> Tensor:
    require_whole(keep, "keep", 1)
    require_whole(overlap, "overlap", 0)
    if overlap >= keep:
        raise ValueError(f"overlap must be below keep, {keep}, got {overlap}: no more labels can stay")
    if norms_by_step.ndim != 2 or norms_by_step.numel() == 0 or not bool(norms_by_step.isfinite().all()):
        raise ValueError(f"norms_by_step must be finite [t, L], a step and a label at least, got shape {tuple(norms_by_step.shape)}")
    return norms_by_step.argsort(dim=1, stable=True)

r"""Noise on a grid, which floating-point arithmetic adds without rounding (Voracek, Hein 2022, arXiv 2207.07209).

Theorem 1 of randomized smoothing speaks of $x+\varepsilon$ in real numbers. A float sum $x\oplus\varepsilon$ is rounded, and which floats can come out
of the rounding depends on x, so a model can tell neighbouring points apart although the theorem says that it cannot: `rounding_aware_model` does.
The remedy: smooth the model *after rounding to a grid*, $z\mapsto f(\mathrm{round}(z))$, a fixed function to which the theorem applies. For x on the
grid $\mathrm{round}(x+\varepsilon)=x+\mathrm{round}(\varepsilon)$, and where the step is a power of two this sum is exact in floats.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, frexp, log2

import numpy as np
import torch
from scipy.special import ndtr
from torch import Tensor
from torch.nn.functional import one_hot

STEP = 2.0**-12
MAX_RATIO = 2.0**14  # of sigma to step: what the tables hold

_CUT = 9  # standard deviations; beyond them lies a probability below 2^-61
_PIECE = 2**18  # numbers that are drawn at once; the scratch memory of one piece stays in the cache
_RARE_BITS = 62


def grid_step(sigma: float) -> float:
    """The step that `certify` uses with this sigma: STEP, or for sigma above 4 the smallest power of two that the tables can serve."""
    step = STEP
    while sigma > MAX_RATIO * step:
        step *= 2
    return step


def round_to_grid(x: Tensor, step: float) -> Tensor:
    """The multiples of `step` next to the entries of x (ties to even); refuses entries so large that float32 could not add noise to them exactly."""
    if (x.abs() > 2**23 * step).any():
        raise ValueError(f"x must lie within +-{2**23 * step:g} to be rounded to multiples of {step:g}, got {x.abs().max():g} in it")
    return torch.round(x / step) * step


def grid_noise(shape: tuple[int, ...], sigma: float, step: float, generator: torch.Generator) -> Tensor:
    r"""Independent numbers with the law of $\mathrm{round}(N(0,\sigma^2)/\text{step})\cdot\text{step}$, made from random bits and a table.

    The law of each number is within `total_variation(sigma, step)` of that law, provided that the generator's bits are fair.

    Args:
        shape: of the result.
        sigma: standard deviation before rounding, above 0 and at most MAX_RATIO * step.
        step: distance of neighbours on the grid, a power of two.
        generator: source of the bits; the result lies on its device.

    Returns:
        float32 tensor of multiples of `step`, all of them exact.

    Raises:
        ValueError: if sigma or step is out of range; the message names it and its value.

    Statement: cohen-float.
    """
    table = _table(float(sigma), float(step))
    noise = torch.empty(shape, device=generator.device)
    for piece in noise.view(-1).split(_PIECE):
        _fill(piece, table, generator)
    return noise


def total_variation(sigma: float, step: float) -> float:
    r"""A bound on the total variation between the law of one number of `grid_noise` and the exact law: $2^{-48}(1+\sigma/\text{step})$.

    The table's probabilities are differences of tails $T_k=\Pr[Z>(k-\frac12)\,\text{step}/\sigma]$. If scipy's `ndtr` errs by at most $2^{-50}$ of its
    value, that counts at most $2\cdot2^{-50}\sum_{k\ge1}T_k\le2^{-50}(1+\sigma/\text{step})$, and rounding in the table and the tails that it cuts
    count less than that again; the bound leaves a factor of two.
    """
    return 2.0**-48 * (1 + sigma / step)


def rounding_aware_model(x: Tensor) -> Callable[[Tensor], Tensor]:
    r"""A model that sees where a noisy point came from: it answers 1 if the point can be a float sum $x\oplus\varepsilon$, and 0 if it cannot.

    On noisy copies of x it always answers 1, so float noise certifies x with the greatest radius that there is. But a noisy copy of another point, for
    example of `erase_faint_pixels(x, distance)`, has entries near 0 with bits that a sum with the larger entry of x would have rounded away: there the
    smoothed answer is 0, and the certificate is false. Noise on the grid has no such bits, and the model answers alike at both points.

    Args:
        x: the point, any shape, float32 or float64; its entries should not all be 0.

    Returns:
        A function from a batch (b, *x.shape) to logits (b, 2).

    Statement: cohen-float.
    """
    return lambda batch: one_hot((x + (batch - x) == batch).flatten(1).all(dim=1).long(), 2).to(batch)


def erase_faint_pixels(x: Tensor, distance: float) -> Tensor:
    """x with its smallest entries set to 0, as many as keep the result within `distance` (l2) of x."""
    entries, order = x.abs().flatten().double().sort()
    erased = x.flatten().clone()
    erased[order[entries.square().cumsum(0) <= distance**2]] = 0
    return erased.view_as(x)


@dataclass(frozen=True)
class _Table:
    """The law of k = noise / step as a mixture of a common part, cheap to draw from, and a rare one.

    A uniform index below 2^16 is drawn. If it is below `first_rare`, the noise is common[index] plus a uniform one of -width/2, ..., width/2 - 1 steps.
    Else it is values[i] with probability (cumulative[i] - cumulative[i-1]) / 2^62.
    """

    step: float
    width: int
    common: Tensor
    first_rare: int
    values: Tensor
    cumulative: Tensor


@lru_cache(maxsize=16)
def _table(sigma: float, step: float) -> _Table:
    _require_grid(sigma, step)
    ratio = sigma / step
    width = 2 ** max(0, int(log2(ratio)) - 6)  # steps in a cell, across which the density is almost constant
    cells = ceil(_CUT * ratio / width) + 1
    k = np.arange(-cells * width, cells * width)
    inner = (np.abs(k) - 0.5) / ratio  # by symmetry all differences are taken in the upper tail, where floats are dense
    probability = ndtr(-inner) - ndtr(-inner - 1 / ratio)
    # A cell gets as many of the 2^16 indices as it can have without making any of its values too probable; the rare part makes up for the rest.
    indices = np.floor(probability.reshape(-1, width).min(axis=1) * width * 2**16).astype(np.int64)
    missing = probability - np.repeat(indices / (width * 2**16), width)
    first_rare = int(indices.sum())
    common = np.full(2**16, np.nan)  # the rest is never used
    common[:first_rare] = np.repeat(np.arange(-cells, cells) * width + width // 2, indices)
    rare = k[missing > 0] if missing.any() else np.zeros(1)
    shares = missing[missing > 0] if missing.any() else np.ones(1)
    cumulative = np.minimum(np.cumsum(np.rint(shares / shares.sum() * 2.0**_RARE_BITS).astype(np.int64)), 2**_RARE_BITS)
    cumulative[-1] = 2**_RARE_BITS
    tensors = (torch.from_numpy(array * step).float() for array in (common, rare))
    return _Table(step, width, next(tensors), first_rare, next(tensors), torch.from_numpy(cumulative))


def _fill(piece: Tensor, table: _Table, generator: torch.Generator) -> None:
    """32 random bits a number: the 16 lowest are the index, the highest choose the place in the cell; about one number in a hundred is rare."""
    bits = torch.empty((len(piece) + 1) // 2, dtype=torch.int64, device=piece.device).random_(-(2**63), None, generator=generator)
    bits = bits.view(torch.int32)[: len(piece)]
    index = bits & (2**16 - 1)
    torch.index_select(table.common.to(piece.device), 0, index, out=piece)
    if table.width > 1:
        piece.add_(bits >> (33 - table.width.bit_length()), alpha=table.step)
    rare = (index >= table.first_rare).nonzero().view(-1)
    draws = torch.empty(len(rare), dtype=torch.int64, device=piece.device).random_(0, 2**_RARE_BITS, generator=generator)
    piece[rare] = table.values.to(piece.device)[torch.searchsorted(table.cumulative.to(piece.device), draws, right=True)]


def _require_grid(sigma: float, step: float) -> None:
    if not (2.0**-100 <= step <= 2.0**100 and frexp(step)[0] == 0.5):
        raise ValueError(f"step must be a power of two in [2^-100, 2^100], got {step}")
    if not 0 < sigma <= MAX_RATIO * step:
        raise ValueError(f"sigma must lie in (0, {MAX_RATIO * step:g}] for the step {step:g}, got {sigma}")

"""Exact tests with a stated error: each rejects a correct answer with probability at most its `share`, at every sample size.

No normal approximation, no tolerance tuned around a sampled mean: binomial tails are exact, and the Dvoretzky-Kiefer-Wolfowitz inequality with Massart's
constant holds for every law, continuous or discrete. A check hands each outcome to `challenger.accept`, which adds up the shares.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

SHARE = 1e-8


@dataclass(frozen=True)
class Outcome:
    """What a test found: it passed unless `p_value <= share`; under the null hypothesis Pr[p_value <= t] <= t for every t."""

    statistic: float
    p_value: float
    share: float

    @property
    def passed(self) -> bool:
        return self.p_value > self.share


def binomial_at_least(successes: int, trials: int, p: float, share: float = SHARE) -> Outcome:
    """Null hypothesis: independent trials, each a success with probability at least p. p-value Pr[Binomial(trials, p) <= successes]."""
    _require_counts(successes, trials, p, share)
    return Outcome(successes / trials, float(binom.cdf(successes, trials, p)), share)


def binomial_at_most(successes: int, trials: int, p: float, share: float = SHARE) -> Outcome:
    """Null hypothesis: independent trials, each a success with probability at most p. p-value Pr[Binomial(trials, p) >= successes]."""
    _require_counts(successes, trials, p, share)
    return Outcome(successes / trials, float(binom.sf(successes - 1, trials, p)), share)


def dkw(samples: Sequence[float], cdf: Callable[[np.ndarray], np.ndarray], share: float = SHARE) -> Outcome:
    r"""Null hypothesis: independent samples of the law with distribution function `cdf`. Statistic $D=\sup|F_N-F|$, p-value $2e^{-2ND^2}$ at most 1.

    Args:
        samples: at least one finite number.
        cdf: $t \mapsto \Pr[X \le t]$ on arrays, right-continuous; jumps are allowed.
    """
    values = np.sort(np.asarray(samples, dtype=np.float64).ravel())
    if values.size == 0 or not np.isfinite(values).all():
        raise ValueError(f"samples must be at least one finite number, got {values.size} of them, {int((~np.isfinite(values)).sum())} not finite")
    _require_share(share)
    points, first = np.unique(values, return_index=True)
    below = first / values.size
    upto = np.append(below[1:], 1.0)
    left = np.asarray(cdf(np.nextafter(points, -np.inf)))
    distance = float(max(np.abs(upto - np.asarray(cdf(points))).max(), np.abs(below - left).max()))
    return Outcome(distance, float(min(1.0, 2 * np.exp(-2 * values.size * distance**2))), share)


def binomial_law(counts: Sequence[int], trials: int, p: float, share: float = SHARE) -> Outcome:
    """Null hypothesis: `counts` are independent Binomial(trials, p)."""
    return dkw(counts, lambda k: binom.cdf(np.floor(k), trials, p), share)


def _require_share(share: float) -> None:
    if not 0 < share < 1:
        raise ValueError(f"share must lie in (0, 1), got {share}")


def _require_counts(successes: int, trials: int, p: float, share: float) -> None:
    _require_share(share)
    if not (trials >= 1 and 0 <= successes <= trials):
        raise ValueError(f"successes must lie in [0, trials] with trials >= 1, got {successes} of {trials}")
    if not 0 <= p <= 1:
        raise ValueError(f"p must lie in [0, 1], got {p}")

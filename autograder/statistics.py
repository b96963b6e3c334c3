"""Exact tests with a stated error: each rejects a correct answer with probability at most its `share`, at every sample size; and the power of each.

No normal approximation, no tolerance tuned around a sampled mean. A check hands each outcome to `challenger.accept`, which adds up the shares.

- Binomial tails are exact (Clopper, Pearson 1934: The use of confidence or fiducial limits illustrated in the case of the binomial, Biometrika 26).
- The Dvoretzky-Kiefer-Wolfowitz inequality with the constant 2 holds for every law and sample size (Massart 1990, Annals of Probability 18).
- The sequential tests bet against the null hypothesis (Waudby-Smith, Ramdas 2024: Estimating means of bounded random variables by betting, JRSS B 86). The
  capital, 1 at first, is a supermartingale under the null hypothesis, so it ever reaches 1/t with probability at most t (Ville 1939: Etude critique de la
  notion de collectif): 1 / its maximum is a p-value whenever one stops. The bet is the likelihood ratio of a stated alternative (Wald 1945).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import exp, log, sqrt

import numpy as np
from scipy.stats import binom

SHARE = 1e-8
MISS = 1e-3


@dataclass(frozen=True)
class Outcome:
    """What a test found: it passed unless `p_value <= share`; under the null hypothesis Pr[p_value <= t] <= t for every t.

    `trials` is how many observations it used.
    """

    test: str
    trials: int
    statistic: float
    p_value: float
    share: float

    @property
    def passed(self) -> bool:
        return self.p_value > self.share


# tests of a fixed number of observations


def binomial_at_least(successes: int, trials: int, p: float, share: float = SHARE) -> Outcome:
    """Null hypothesis: independent trials, each a success with probability at least p. p-value Pr[Binomial(trials, p) <= successes]."""
    _require_counts(successes, trials, p, share)
    return Outcome("binomial_at_least", trials, successes / trials, float(binom.cdf(successes, trials, p)), share)


def binomial_at_most(successes: int, trials: int, p: float, share: float = SHARE) -> Outcome:
    """Null hypothesis: independent trials, each a success with probability at most p. p-value Pr[Binomial(trials, p) >= successes]."""
    _require_counts(successes, trials, p, share)
    return Outcome("binomial_at_most", trials, successes / trials, float(binom.sf(successes - 1, trials, p)), share)


def dkw(samples: Sequence[float], cdf: Callable[[np.ndarray], np.ndarray], share: float = SHARE, shift: float = 0.0) -> Outcome:
    r"""Null hypothesis: independent samples of one law, whose distribution function is nowhere further than `shift` from `cdf`.

    Statistic $D=\sup|F_N-F|$, p-value $2e^{-2N(D-\text{shift})^2}$ at most 1, and 1 where $D\le\text{shift}$.

    Args:
        samples: at least one finite number.
        cdf: $F$, $t \mapsto \Pr[X \le t]$ on arrays, right-continuous; jumps are allowed.
        shift: at least 0; what rounding may do to the law, say.
    """
    values = np.sort(np.asarray(samples, dtype=np.float64).ravel())
    if values.size == 0 or not np.isfinite(values).all():
        raise ValueError(f"samples must be at least one finite number, got {values.size} of them, {int((~np.isfinite(values)).sum())} not finite")
    _require_share(share)
    first = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
    points, below = values[first], first / values.size
    upto = np.append(below[1:], 1.0)
    left = np.asarray(cdf(np.nextafter(points, -np.inf)))
    distance = float(max(np.abs(upto - np.asarray(cdf(points))).max(), np.abs(below - left).max()))
    return Outcome("dkw", values.size, distance, min(1.0, 2 * exp(-2 * values.size * max(0.0, distance - shift) ** 2)), share)


def binomial_law(counts: Sequence[int], trials: int, p: float, share: float = SHARE) -> Outcome:
    """Null hypothesis: `counts` are independent Binomial(trials, p)."""
    return dkw(counts, lambda k: binom.cdf(np.floor(k), trials, p), share)


# sequential tests


def sequential_at_least(observations: Iterable[bool], p: float, alternative: float, share: float = SHARE, miss: float = MISS) -> Outcome:
    """Null hypothesis: each observation is a success with probability at least p, whatever came before. Otherwise as `sequential_at_most`."""
    _require_sequential(1 - p, 1 - alternative, share, miss, f"0 < alternative < p < 1, got alternative = {alternative} and p = {p}")
    trials, successes, p_value = _bet((not success for success in observations), 1 - p, 1 - alternative, share, miss)
    return Outcome("sequential_at_least", trials, 1 - successes / trials, p_value, share)


def sequential_at_most(observations: Iterable[bool], p: float, alternative: float, share: float = SHARE, miss: float = MISS) -> Outcome:
    r"""Null hypothesis: each observation is a success with probability at most p, whatever came before. It stops as soon as it has decided.

    After s successes in t observations the capital is $(q/p)^s((1-q)/(1-p))^{t-s}$, q the alternative. At 1/share the null hypothesis is rejected; at
    `miss` the test gives up and passes. Giving up makes no rejection more likely; where the probability of success is at least q it happens with
    probability at most `miss`, for there 1/capital is a supermartingale. How likely a rejection is in all says `sequential_power`.

    Args:
        observations: made one by one as they are asked for, so a generator saves what it need not draw; at least one, and finitely many.
        p: in (0, 1).
        alternative: the probability of success, above p, that the test is meant to detect.
        share: bound on the probability of rejecting under the null hypothesis.
        miss: bound on the probability of giving up under the alternative.
    """
    _require_sequential(p, alternative, share, miss, f"0 < p < alternative < 1, got p = {p} and alternative = {alternative}")
    trials, successes, p_value = _bet(observations, p, alternative, share, miss)
    return Outcome("sequential_at_most", trials, successes / trials, p_value, share)


def _bet(observations: Iterable[bool], p: float, alternative: float, share: float, miss: float) -> tuple[int, int, float]:
    """Observations used, successes among them and the p-value."""
    trials = successes = 0
    highest = 0.0
    for success in observations:
        trials, successes = trials + 1, successes + bool(success)
        capital = _log_capital(successes, trials, p, alternative)
        highest = max(highest, capital)
        if exp(-highest) <= share or capital <= log(miss):
            break
    if trials == 0:
        raise ValueError("observations must be at least one, got none")
    return trials, successes, exp(-highest)


def _log_capital(successes, trials, p: float, alternative: float):
    return successes * log(alternative / p) + (trials - successes) * log((1 - alternative) / (1 - p))


# power


def binomial_power(trials: int, p: float, truth: float, share: float = SHARE) -> float:
    """The probability, exactly, that `binomial_at_least` (truth < p) or `binomial_at_most` (truth > p) rejects where `truth` is the probability of success."""
    _require_counts(0, trials, p, share)
    counts = np.arange(trials + 1)
    rejected = binom.cdf(counts, trials, p) <= share if truth < p else binom.sf(counts - 1, trials, p) <= share
    return min(1.0, float(binom.pmf(counts[rejected], trials, truth).sum()))


def dkw_power(trials: int, null: float, truth: float, share: float = SHARE, shift: float = 0.0) -> float:
    r"""A lower bound on the probability that `dkw` rejects, where at some t the cdf is `null` and the truth is $\Pr[X\le t]=$ `truth`: exact for this one t."""
    _require_counts(0, trials, null, share)
    critical = shift + sqrt(log(2 / share) / (2 * trials))
    counts = np.arange(trials + 1)
    return min(1.0, float(binom.pmf(counts[np.abs(counts / trials - null) >= critical], trials, truth).sum()))


def sequential_power(most: int, p: float, alternative: float, truth: float, share: float = SHARE, miss: float = MISS) -> tuple[float, float]:
    """The probability, exactly, that the sequential test of at most `most` observations rejects where `truth` is the probability of success, and how many
    observations it uses in the mean. The test is `sequential_at_most` where p < alternative, else `sequential_at_least`.
    """
    if alternative < p:
        p, alternative, truth = 1 - p, 1 - alternative, 1 - truth
    _require_sequential(p, alternative, share, miss, f"p and alternative must differ and lie in (0, 1), got {p} and {alternative}")
    going = np.ones(1)  # probability of being undecided after t observations with s successes, by s
    rejected = used = 0.0
    for trials in range(1, most + 1):
        used += going.sum()
        going = np.append(going * (1 - truth), 0.0) + np.append(0.0, going * truth)
        capital = _log_capital(np.arange(trials + 1), trials, p, alternative)
        rejected += going[np.exp(-capital) <= share].sum()
        going[(np.exp(-capital) <= share) | (capital <= log(miss))] = 0.0
    return float(rejected), float(used)


def _require_sequential(p: float, alternative: float, share: float, miss: float, wanted: str) -> None:
    _require_share(share)
    if not 0 < p < alternative < 1:
        raise ValueError(f"a sequential test needs {wanted}")
    if not 0 < miss < 1:
        raise ValueError(f"miss must lie in (0, 1), got {miss}")


def _require_share(share: float) -> None:
    if not 0 < share < 1:
        raise ValueError(f"share must lie in (0, 1), got {share}")


def _require_counts(successes: int, trials: int, p: float, share: float) -> None:
    _require_share(share)
    if not (trials >= 1 and 0 <= successes <= trials):
        raise ValueError(f"successes must lie in [0, trials] with trials >= 1, got {successes} of {trials}")
    if not 0 <= p <= 1:
        raise ValueError(f"p must lie in [0, 1], got {p}")

r"""Randomized smoothing: predictions and certified radii (Cohen, Rosenfeld, Kolter 2019).

The smoothed classifier answers $g(x)=\arg\max_c\Pr[f(x+\varepsilon)=c]$ with $\varepsilon\sim N(0,\sigma^2I)$. Theorem 1: an answer that has
probability at least $\underline p>1/2$ at x is the answer everywhere within $\sigma\Phi^{-1}(\underline p)$ of x (l2). The probability is estimated by
sampling, so that a certificate is wrong with probability at most alpha, over the sampler's randomness and for each x on its own. It says that the
answer is constant near x, not that it is right, and it speaks of g, not of the model f.

With noise="sound" the model is smoothed after rounding its input to a grid (`backdoors.smoothing.sound`), and what the machine computes is what the
theorem speaks of; with noise="gaussian" floats are added as they are, which a model can abuse. Either way f must be a function: its answer on a row
depends on that row alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import expm1, isfinite, log

import torch
from scipy.stats import beta, binomtest, chi2, norm
from torch import Tensor
from torch.nn.functional import one_hot
from tqdm import tqdm

from backdoors.smoothing.noise import NOISES, classify, grid_cost, noise_source

ABSTAIN = -1


@dataclass(frozen=True)
class Certificate:
    """The smoothed classifier answers `label` everywhere within `radius` (l2) of x; false with probability at most alpha.

    The label ABSTAIN claims nothing. `p_lower` is the lower bound on the answer's probability at x; `noise` says which noise was used.
    """

    label: int
    radius: float
    p_lower: float
    noise: str


def lower_confidence_bound(successes: int, trials: int, alpha: float) -> float:
    r"""Clopper-Pearson, one-sided: the p with $\Pr[\mathrm{Bin}(\text{trials},p)\ge\text{successes}]=\alpha$.

    Whatever the true probability of success is, the bound lies above it with probability at most alpha.

    Args:
        successes: 0 <= successes <= trials.
        trials: at least 1.
        alpha: failure probability in (0, 1).

    Returns:
        The bound, in [0, 1); 0 if there are no successes.

    Raises:
        ValueError: if an argument is out of range; the message names it and its value.

    Statement: cohen-certify.
    """
    _require_counts(successes, trials, alpha)
    return float(beta.ppf(alpha, successes, trials - successes + 1)) if successes > 0 else 0.0


def count_votes(model: Callable, x: Tensor, sigma: float, n: int, batch_size: int, generator: torch.Generator, noise: str = "sound") -> Tensor:
    """How often the model answers each class on n noisy copies of x, never holding more than batch_size of them.

    Args:
        model: maps a batch (b, *x.shape) to logits (b, K) with K >= 2; only called.
        x: one image (c, h, w) or vector (d,), finite.
        sigma: standard deviation of the noise, above 0.
        n: number of noisy copies, at least 1.
        batch_size: most rows in one call of the model, at least 1.
        generator: source of the noise.
        noise: "sound" or "gaussian".

    Returns:
        int64 tensor (K,) that sums to n.

    Raises:
        ValueError: if an argument is out of range, or the model's answer has the wrong shape or is NaN; the message names it and its value.

    Statement: cohen-certify.
    """
    _require_sampling(x, sigma, n, batch_size, generator, noise)
    sample, rest = noise_source(model, x, sigma, noise)
    votes = 0
    for start in range(0, n, batch_size):
        logits = classify(rest, sample(min(batch_size, n - start), generator))
        votes = votes + logits.argmax(dim=1).bincount(minlength=logits.shape[1])
    return votes


def certified_radius(p_lower: float, sigma: float, p_upper: float | None = None) -> float:
    r"""Theorem 1: $\frac\sigma2(\Phi^{-1}(\underline p)-\Phi^{-1}(\overline p))$, and 0 where this is negative.

    Args:
        p_lower: lower bound on the probability of the answer, in [0, 1). 1 is refused: its radius is infinite, and no number of samples shows it.
        sigma: standard deviation of the noise, above 0.
        p_upper: upper bound on the probability of each other class, in (0, 1]; by default 1 - p_lower, which makes the radius
            $\sigma\Phi^{-1}(\underline p)$.

    Raises:
        ValueError: if an argument is out of range; the message names it and its value.

    Statement: cohen-thm-1.
    """
    p_upper = 1 - p_lower if p_upper is None else p_upper
    _require_bounds(p_lower, p_upper, sigma)
    return max(0.0, float(sigma) / 2 * float(norm.ppf(p_lower) - norm.ppf(p_upper)))


def predict(model: Callable, x: Tensor, sigma: float, n: int, alpha: float, generator: torch.Generator, noise: str = "sound", batch_size: int = 1000) -> int:
    """PREDICT: the smoothed classifier's answer at x, or ABSTAIN; an answer that is not the smoothed classifier's has probability at most alpha.

    The two classes with most votes are compared by the two-sided binomial test: abstain unless its p-value is at most alpha. With sound noise the answer is
    that at the point of the grid nearest to x, and the promise holds where it leads every other class by more than twice the variation that `grid_cost` gives,
    some 1e-8; for a claim about an x off the grid, take `certify`.

    Args:
        n: number of noisy copies, at least 1.
        alpha: failure probability in (0, 1).
        model, x, sigma, generator, noise, batch_size: as in `count_votes`.

    Raises:
        ValueError: as `count_votes`, and if alpha is out of range.

    Statement: cohen-certify.
    """
    _require_alpha(alpha)
    votes, labels = count_votes(model, x, sigma, n, batch_size, generator, noise).topk(2)
    top, second = votes.tolist()
    p_value = binomtest(top, top + second, 0.5).pvalue
    return labels[0].item() if p_value <= alpha else ABSTAIN


def certify(
    model: Callable,
    x: Tensor,
    sigma: float,
    n0: int,
    n: int,
    alpha: float,
    generator: torch.Generator,
    noise: str = "sound",
    batch_size: int = 1000,
) -> Certificate:
    r"""CERTIFY: guess the answer from n0 noisy copies, bound its probability from n fresh ones, and turn the bound into a radius.

    With sound noise the radius is lowered by the distance from x to the grid, and the bound by the distance of the sampler's law from the exact one;
    `grid_cost` gives both, and 0 for gaussian noise. Abstains, with radius 0, where no radius above 0 remains.

    Args:
        n0: number of noisy copies for the guess, at least 1.
        n: number of noisy copies for the bound, at least 1.
        alpha: failure probability in (0, 1).
        model, x, sigma, generator, noise, batch_size: as in `count_votes`.

    Raises:
        ValueError: as `count_votes`, and if alpha or n0 is out of range.

    Statement: cohen-certify.
    """
    _require_failure(alpha, n0)
    label = count_votes(model, x, sigma, n0, batch_size, generator, noise).argmax().item()
    successes = count_votes(model, x, sigma, n, batch_size, generator, noise)[label].item()
    distance, variation = grid_cost(x, sigma, noise)
    p_lower = max(0.0, lower_confidence_bound(successes, n, alpha) - variation)
    radius = certified_radius(p_lower, sigma) - distance
    return Certificate(label, radius, p_lower, noise) if radius > 0 else Certificate(ABSTAIN, 0.0, p_lower, noise)


def worst_halfspace(x: Tensor, direction: Tensor, p: float, sigma: float) -> tuple[Tensor, float]:
    r"""Theorem 1 is tight: $\langle w,z\rangle\le b$ has probability p at x, and 1/2 at the distance $\sigma\Phi^{-1}(p)$ along the direction.

    Args:
        x: where it has probability p, any shape.
        direction: same shape as x, not zero; its length does not matter.
        p: probability in (0, 1).
        sigma: standard deviation of the noise, above 0.

    Returns:
        w with the shape of x and length 1, and b.

    Raises:
        ValueError: if an argument is out of range; the message names it and its value.

    Statement: cohen-thm-1.
    """
    _require_halfspace(x, direction, p, sigma)
    w = direction.double() / direction.double().norm()
    b = (w * x).sum().item() + sigma * norm.ppf(p)
    return w.to(x.dtype), float(b)


def fooled_model(model: Callable, x_star: Tensor, label: int, sigma: float) -> Callable[[Tensor], Tensor]:
    r"""A model that agrees with the given one on every image, and whose smoothed classifier answers `label` at x_star.

    It answers `label` where noisy copies of x_star are and images are not: in the ball around x_star that holds all but 1/2000 of the copies, outside
    $[0,1]^d$. In high dimension, or at a point with black pixels, most noisy copies are outside; where they are not, the smoothing is not fooled.

    Args:
        model: maps a batch (b, *x_star.shape) to logits (b, K); only called, once a batch.
        x_star: the point to be fooled at.
        label: the (wrong) answer to be given there, 0 <= label < K.
        sigma: standard deviation of the noise of the smoothing, above 0.

    Returns:
        A function from a batch (b, *x_star.shape) to logits (b, K).

    Raises:
        ValueError: if an argument is out of range; for a label that the model does not have, when the function is called.

    Statement: cohen-limits.
    """
    _require_target(x_star, label, sigma)
    radius = sigma * chi2.ppf(1 - 1 / 2000, x_star.numel()) ** 0.5

    def fooled(batch: Tensor) -> Tensor:
        logits = classify(model, batch, label)
        near = (batch - x_star).flatten(1).norm(dim=1) <= radius
        no_image = ((batch < 0) | (batch > 1)).flatten(1).any(dim=1)
        wrong = one_hot(torch.tensor(label), logits.shape[1]).to(logits)
        return torch.where((near & no_image)[:, None], wrong, logits)

    return fooled


def max_radius(sigma: float, n: int, alpha: float) -> float:
    r"""The ceiling of CERTIFY: $\sigma\Phi^{-1}(\alpha^{1/n})$, the radius if all n copies get the same answer.

    Statement: cohen-certify.
    """
    _require_alpha(alpha)
    _require_sigma(sigma)
    _require_whole("n", n)
    return max(0.0, float(sigma * norm.isf(-expm1(log(alpha) / n))))


def certify_all(
    model: Callable,
    images: Tensor,
    sigma: float,
    n0: int,
    n: int,
    alpha: float,
    generator: torch.Generator,
    noise: str = "sound",
    batch_size: int = 1000,
    progress: bool = False,
) -> list[Certificate]:
    """One certificate for each of the images (m, ...); each is false with probability at most alpha, so up to alpha * m are to be expected false."""
    images = tqdm(images, desc="certify", unit="image", disable=not progress)
    return [certify(model, x, sigma, n0, n, alpha, generator, noise, batch_size) for x in images]


def certified_accuracy(certificates: Sequence[Certificate], labels: Tensor, radii: Tensor) -> Tensor:
    """For each radius, the fraction of the images that are answered rightly and certified at least that far.

    Args:
        certificates: m of them, at least 1.
        labels: (m,) true labels, at least 0.
        radii: (r,) radii.

    Returns:
        float32 tensor (r,), falling where radii rise.

    Raises:
        ValueError: if labels and certificates differ in number, or a label is negative.
    """
    labels = torch.as_tensor(labels)
    _require(len(certificates) > 0, "certificates must be at least one, got none")
    _require(len(certificates) == len(labels), f"labels must be {len(certificates)}, one for each certificate, got {len(labels)}")
    _require(bool((labels >= 0).all()), f"labels must be at least 0, got {labels.min()}")
    reached = torch.tensor([certificate.radius for certificate in certificates], dtype=torch.float64)
    right = torch.tensor([certificate.label for certificate in certificates]) == labels
    return (right & (reached >= torch.as_tensor(radii, dtype=torch.float64)[:, None])).float().mean(dim=1)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _require_whole(name: str, value: int, least: int = 1) -> None:
    _require(hasattr(value, "__index__") and value >= least, f"{name} must be a whole number of at least {least}, got {value}")


def _require_alpha(alpha: float) -> None:
    _require(0 < alpha < 1, f"alpha must lie in (0, 1), got {alpha}")


def _require_failure(alpha: float, n0: int) -> None:
    _require_alpha(alpha)
    _require_whole("n0", n0)


def _require_sigma(sigma: float) -> None:
    _require(sigma > 0 and isfinite(sigma), f"sigma must be above 0 and finite, got {sigma}")


def _require_counts(successes: int, trials: int, alpha: float) -> None:
    _require_alpha(alpha)
    _require_whole("trials", trials)
    _require_whole("successes", successes, least=0)
    _require(successes <= trials, f"successes must lie in [0, {trials}], got {successes}")


def _require_bounds(p_lower: float, p_upper: float, sigma: float) -> None:
    _require_sigma(sigma)
    _require(0 <= p_lower < 1, f"p_lower must lie in [0, 1), got {p_lower}: no finite number of samples shows a probability of 1")
    _require(0 < p_upper <= 1, f"p_upper must lie in (0, 1], got {p_upper}")


def _require_point(x: Tensor, name: str) -> None:
    kind = getattr(x, "dtype", type(x).__name__)
    _require(isinstance(x, Tensor) and kind in (torch.float32, torch.float64), f"{name} must be a float32 or float64 tensor, got {kind}")
    _require(x.numel() > 0, f"{name} must not be empty, got the shape {tuple(x.shape)}")
    _require(bool(x.isfinite().all()), f"{name} must be finite, got {int((~x.isfinite()).sum())} entries that are not")


def _require_sampling(x: Tensor, sigma: float, n: int, batch_size: int, generator: torch.Generator, noise: str) -> None:
    _require_point(x, "x")
    _require_sigma(sigma)
    _require_whole("n", n)
    _require_whole("batch_size", batch_size)
    _require(isinstance(generator, torch.Generator), f"generator must be a torch.Generator, got {generator!r}")
    _require(noise in NOISES, f"noise must be one of {', '.join(NOISES)}, got {noise!r}")


def _require_halfspace(x: Tensor, direction: Tensor, p: float, sigma: float) -> None:
    _require_point(x, "x")
    _require_point(direction, "direction")
    _require_sigma(sigma)
    _require(0 < p < 1, f"p must lie in (0, 1), got {p}")
    _require(x.shape == direction.shape, f"direction must have the shape of x, {tuple(x.shape)}, got {tuple(direction.shape)}")
    _require(bool(direction.any()), "direction must not be zero, got the zero vector")


def _require_target(x_star: Tensor, label: int, sigma: float) -> None:
    _require_point(x_star, "x_star")
    _require_sigma(sigma)
    _require_whole("label", label, least=0)

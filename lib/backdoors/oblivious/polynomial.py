r"""Polynomials over the reals from a tampered model: correlated points in a convex body, and medians over lines (lecture slides of Vafa, after Goldwasser,
Shafer, Vafa, Vaikuntanathan 2024).

A model M agrees with a polynomial f of degree d on most of a body K, and is wrong at x or wherever its maker wants. On a line through x the polynomial has
one variable, so that d + 1 of its values give f(x). What they are asked at must look like any other input, uniform on K: the correlated sampler draws a line
by a uniform point, and on it radii r with density proportional to $|r|^{n-1}$. Then each point is uniform, all lie on one line through x, and given the line
they are independent.

If $|M-f|\le\eta$ but on a fraction $\delta$ of K, the estimate of one line is within $\Lambda\eta$ of f(x) with probability at least $1-(d+1)\delta$, where
the amplification $\Lambda=\sum_j|\lambda_j|$ of its points is the sum of Lagrange's weights. The median over lines makes this as certain as one likes
(`median_failure`); the mean is useless, as one line's error is not bounded. $\Lambda$ grows with the dimension as $n^d$ (off the centre), and with every step
towards the boundary.

The constants are derived here and are not those of the paper.
"""

from collections.abc import Callable
from math import inf, isfinite

import torch
from scipy.stats import binom
from torch import Tensor

from backdoors.definitions import require_generator, require_whole
from backdoors.oblivious.bodies import Body


def points_on_line(r_minus: float | Tensor, r_plus: float | Tensor, n: int, count: int, g: torch.Generator) -> Tensor:
    r"""Where on a line through x the points lie: independent radii of density proportional to $|r|^{n-1}$ on $[-r_-,r_+]$.

    A point lies on the side of + with probability $r_+^n/(r_+^n+r_-^n)$, at the distance $r_\pm U^{1/n}$ with U uniform. If the line is that through a fixed x
    and a uniform point of a body, each point is uniform on the body. Uniform radii are not: they crowd around x.

    Args:
        r_minus, r_plus: how far the body goes on from x to either side, above 0 and finite; numbers, or tensors (lines,) for many lines at once.
        n: the dimension of the space, at least 1.
        count: points on each line, at least 1.
        g: source of the points.

    Returns:
        (count,), or (lines, count): signed radii, float64.

    Raises:
        ValueError: if an argument is out of range; the message names it and its value.

    Statement: vafa-correlated.
    """
    r_minus, r_plus = _require_sides(r_minus, r_plus, n, count, g)
    side, U = torch.rand((2, *r_plus.shape, count), generator=g, dtype=torch.float64)
    on_plus = side < 1 / (1 + (r_minus / r_plus) ** n)[..., None]
    return torch.where(on_plus, r_plus[..., None], -r_minus[..., None]) * (1 - U) ** (1 / n)


def systematic_points(r_minus: float | Tensor, r_plus: float | Tensor, n: int, count: int, g: torch.Generator) -> Tensor:
    r"""Radii as `points_on_line` draws them, but spread evenly: the quantiles $(U+j/\text{count})\bmod1$ of one uniform U.

    Each radius has the law that it has there, and the union bound over bad points asks for no more; the points are no longer independent given the line, and
    as they keep apart, their amplification is smaller.

    Statement: vafa-correlated, vafa-real.
    """
    r_minus, r_plus = (side[..., None] for side in _require_sides(r_minus, r_plus, n, count, g))
    start = torch.rand((*r_plus.shape[:-1], 1), generator=g, dtype=torch.float64)
    quantile = (start + torch.arange(count, dtype=torch.float64) / count) % 1
    below = 1 / (1 + (r_plus / r_minus) ** n)  # the probability of the side of -
    left, right = (1 - quantile / below).clamp_min(0), ((quantile - below) / (1 - below)).clamp_min(0)
    return torch.where(quantile < below, -r_minus * left ** (1 / n), r_plus * right ** (1 / n))


def random_lines(body: Body, x: Tensor, lines: int, g: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Lines through x and uniform points of the body: directions (lines, n) of length 1, and how far the body goes on along -u and u, both (lines,).

    Raises:
        ValueError: if x does not lie inside, or on the boundary; the message says which.
    """
    x = _require_inside(body, x)
    require_whole(lines, "lines", 1)
    require_generator(g)
    away = body.sample(lines, g) - x
    away[(away == 0).all(dim=1), 0] = 1.0  # x itself was drawn, as from equal seeds: it has no direction, so that any will do
    u = away / away.norm(dim=1, keepdim=True)
    return u, *_require_room(x, *body.chord(x, u))


def correlated_points(body: Body, x: Tensor, lines: int, count: int, g: torch.Generator, radii: Callable = points_on_line) -> Tensor:
    """The correlated sampler: (lines, count, n), each point uniform on the body, those of one line on one line through x.

    Statement: vafa-correlated.
    """
    u, r_minus, r_plus = random_lines(body, x, lines, g)
    return x.double() + radii(r_minus, r_plus, body.dim, count, g)[..., None] * u[:, None]


def weights_at_zero(radii: Tensor) -> Tensor:
    r"""Lagrange's weights $\lambda_j=\prod_{i\ne j}r_i/(r_i-r_j)$: for polynomials p of degree below k, $p(0)=\sum_j\lambda_jp(r_j)$.

    Args:
        radii: (..., k), different numbers, not 0.

    Returns:
        (..., k), float64.
    """
    r = radii.double()
    ratios = r[..., None, :] / (r[..., None, :] - r[..., :, None])
    return ratios.masked_fill(torch.eye(r.shape[-1], dtype=torch.bool, device=r.device), 1.0).prod(dim=-1)


def mitigate_polynomial(oracle: Callable, x: Tensor, body: Body, degree: int, lines: int, g: torch.Generator, radii: Callable | None = None) -> float:
    r"""f(x) for a polynomial f from a model that may be wrong at x: the median, over lines, of what degree + 1 correlated points of a line say.

    Each point that is asked is uniform on the body, so that it is one of the bad ones with probability $\delta$; an estimate is within $\Lambda\eta$ of f(x)
    with probability at least $1-(d+1)\delta$, and their median with the probability that `median_failure` leaves, if $\Lambda\eta$ is that of nearly all
    lines. Where the model is exact but on the bad points ($\eta=0$), so is the answer, up to the rounding of floats.

    Args:
        oracle: the model, maps points (b, n), float64, to answers (b,), finite. Asked lines * (degree + 1) rows.
        x: (n,), inside the body.
        body: on which the model is good for most points.
        degree: d, at least 0; of 0 the answer is the median of the model's.
        lines: at least 1; an even number is worth no more than one line less.
        g: source of the lines.
        radii: how points are drawn on a line: `points_on_line` unless given, or `systematic_points`, whose amplification is smaller.

    Raises:
        ValueError: if x lies outside or on the boundary, an answer is not finite, or another argument is out of range; the message names it and its value.

    Statement: vafa-real.
    """
    _require_degree(degree)
    u, r_minus, r_plus = random_lines(body, x, lines, g)
    r = (radii or points_on_line)(r_minus, r_plus, body.dim, degree + 1, g)
    answers = require_answers(oracle((x.double() + r[..., None] * u[:, None]).flatten(0, 1)), r.numel())
    return float((weights_at_zero(r) * answers.view(r.shape)).sum(dim=1).median())


def round_to_shifted_grid(value: float, step: float, shift: float) -> float:
    r"""The number of $\{\text{shift}+k\cdot\text{step}\}$, k whole, that is nearest to the value.

    Two numbers that are s apart, s at most one step, are rounded to different ones with probability s/step if the shift is uniform on [0, step): what was
    merely near becomes equal, but with this probability. So answers of any two models that are within $\Lambda\eta$ of f(x) have, once rounded, laws that
    are within $2\Lambda\eta/\text{step}$ of one another in total variation.

    Args:
        value: finite.
        step: above 0.
        shift: finite; drawn before the model is asked, and independent of it.

    Raises:
        ValueError: if an argument is out of range; the message names it and its value.

    Statement: vafa-real, vafa-mitigation.
    """
    _require_grid(value, step, shift)
    return shift + step * round((value - shift) / step)


def mitigate_and_round(
    oracle: Callable, x: Tensor, body: Body, degree: int, lines: int, step: float, g: torch.Generator, radii: Callable | None = None
) -> float:
    """`mitigate_polynomial`, rounded to a grid whose shift is drawn first: the mitigation whose law hardly depends on the model.

    Statement: vafa-real, vafa-mitigation.
    """
    shift = step * float(torch.rand((), generator=g, dtype=torch.float64))
    return round_to_shifted_grid(mitigate_polynomial(oracle, x, body, degree, lines, g, radii), step, shift)


def amplification(body: Body, x: Tensor, degree: int, lines: int, g: torch.Generator, radii: Callable = points_on_line) -> Tensor:
    r"""$\Lambda=\sum_j|\lambda_j|$ of each of the lines, (lines,): by how much the line enlarges errors of size $\eta$ on all its points.

    Statement: vafa-real.
    """
    _require_degree(degree)
    _, r_minus, r_plus = random_lines(body, x, lines, g)
    return weights_at_zero(radii(r_minus, r_plus, body.dim, degree + 1, g)).abs().sum(dim=1)


def median_failure(lines: int, good: float) -> float:
    r"""The most that the probability can be that a median of independent estimates is not good, each being good with probability `good`: exact, binomial.

    Good are the estimates within an interval. The median lies in it if more than half of them do; for good > 1/2 what is left is at most
    $e^{-2T(\text{good}-1/2)^2}$ for T lines, $e^{-T/18}$ at 2/3.

    Args:
        lines: at least 1.
        good: in [0, 1]; of the lines of a polynomial of degree d, $1-(d+1)\delta$.

    Statement: vafa-real.
    """
    require_whole(lines, "lines", 1)
    if not 0 <= good <= 1:
        raise ValueError(f"good must lie in [0, 1], got {good}")
    return float(binom.cdf(lines // 2, lines, good))


def require_answers(answers: Tensor, count: int) -> Tensor:
    """A model's answers as float64 (count,), or an error that says what is wrong with them."""
    if not isinstance(answers, Tensor) or answers.shape not in ((count,), (count, 1)):
        raise ValueError(f"the model must answer {count} questions with ({count},), got {tuple(answers.shape) if isinstance(answers, Tensor) else answers!r}")
    if answers.is_complex() or not bool(answers.isfinite().all()):
        raise ValueError(f"the model must answer with finite real numbers, got {answers.flatten()[~answers.flatten().isfinite()][:3].tolist()} among them")
    return answers.flatten().double()


def _require_degree(degree: int) -> None:
    require_whole(degree, "degree", 0)


def _require_sides(r_minus: float | Tensor, r_plus: float | Tensor, n: int, count: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
    require_whole(n, "n", 1)
    require_whole(count, "count", 1)
    require_generator(g)
    sides = [torch.as_tensor(side, dtype=torch.float64) for side in (r_minus, r_plus)]
    for name, side in zip(("r_minus", "r_plus"), sides, strict=True):
        if not bool(((side > 0) & (side < inf)).all()):
            raise ValueError(f"{name} must be above 0 and finite: x must lie inside a bounded body, got {side[~((side > 0) & (side < inf))].tolist()}")
    if sides[0].shape != sides[1].shape:
        raise ValueError(f"r_plus must have the shape of r_minus, {tuple(sides[0].shape)}, got {tuple(sides[1].shape)}")
    return sides[0], sides[1]


def _require_inside(body: Body, x: Tensor) -> Tensor:
    if not isinstance(x, Tensor) or x.shape != (body.dim,) or not bool(x.isfinite().all()):
        raise ValueError(f"x must be a finite point of shape ({body.dim},), got {x.tolist() if isinstance(x, Tensor) else x!r}")
    margin = float(body.margin(x.double()[None])[0])
    if not margin > 0:
        raise ValueError(f"x must lie inside the {body.name}, got a point {'on its boundary' if margin == 0 else 'outside'}: {x.tolist()}")
    return x.double()


def _require_room(x: Tensor, r_minus: Tensor, r_plus: Tensor) -> tuple[Tensor, Tensor]:
    """Chords that have room on both sides; on the boundary one side has none, whatever a membership oracle says of the point."""
    if not bool((torch.minimum(r_minus, r_plus) > 1e-14 * (r_minus + r_plus)).all()):
        raise ValueError(f"x must lie inside the body, got a point on its boundary: {x.tolist()}")
    return r_minus, r_plus


def _require_grid(value: float, step: float, shift: float) -> None:
    if not 0 < step < inf:
        raise ValueError(f"step must be above 0 and finite, got {step}")
    for name, number in (("value", value), ("shift", shift)):
        if not isfinite(number):
            raise ValueError(f"{name} must be finite, got {number}")

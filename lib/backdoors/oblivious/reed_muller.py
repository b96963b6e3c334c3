r"""The truth at a point from a model that is wrong there: local decoding of Reed-Muller codes (lecture slides of Vafa, "Polynomials over finite fields").

The truth f is a polynomial of total degree at most d in n variables over $F_q$. The model M differs from it on a fraction $\delta$ of the points, and whoever
tampered with it chose which. On a random line $x+tb$ every point with $t\ne0$ is uniform, b = 0 included, while f along it is a polynomial of degree d in t
alone, whose value at 0 is f(x). So ask M elsewhere on the line, and interpolate:

- through d + 1 points: right with probability at least $1-(d+1)\delta$;
- through N points with Berlekamp and Welch, who correct $e=\lfloor(N-d-1)/2\rfloor$ errors: by Markov at least $1-\delta N/(e+1)$;
- on a curve $x+tb+t^2c$ any two points are independent, and f along it has degree 2d: by Chebyshev, so close to 1 as q allows for any $\delta$ below
  $\frac12(1-\frac{2d}{q-1})$.

The commonest answer of several lines errs exponentially seldom. t = 0 is never asked, since x is where M is worst; so lines need $q\ge d+2$, and curves
$q\ge2d+2$. A point is int64 (n,), its coordinates labels as in `finite_field`, and every row asked of an oracle is one query.
Uniform is up to the generator, as in `calculator`.
"""

from collections.abc import Callable

import torch
from scipy.stats import binom
from torch import Tensor

from backdoors.oblivious.finite_field import finite_field
from backdoors.oblivious.reed_solomon import UNDECODED, decode_at_zero, lagrange_at_zero, require_points, require_word


def interpolate_at_zero(t: Tensor, values: Tensor, q: int) -> int:
    r"""p(0) of the polynomial p of degree below k over $F_q$ through k points: $\sum_jy_j\prod_{i\ne j}\frac{t_i}{t_i-t_j}$.

    Args:
        t: (k,) int64, different elements of F_q other than 0.
        values: p at them, (k,) int64, elements of F_q.
        q: a prime or a prime power.

    Returns:
        An element of F_q, from 0 to q - 1.

    Raises:
        ValueError: if an argument is out of range; the message names it and its value.

    Statement: vafa-rm.
    """
    field = _require_pairs(t, values, q)
    differences = field.subtract(t, t[:, None])  # [j, i] = t_i - t_j
    weights = field.product(field.divide(t, differences + torch.diag(t)))  # where i = j, t_i / t_i
    return int(field.dot(weights, values))


def decode_line(oracle: Callable[[Tensor], Tensor], x: Tensor, degree: int, q: int, lines: int, g: torch.Generator) -> int:
    r"""f(x) from a model that is wrong on a fraction $\delta$ of the points: the commonest p(0) over random lines $x+tb$, each asked at t = 1, ..., d + 1.

    Each query is uniform, so that a line is right with probability at least $1-(d+1)\delta$, wherever the errors are. At
    $\delta\le\frac1{3(d+1)}$ that is 2/3, and most of T lines are wrong with probability at most $e^{-T/18}$. d + 1 points fit every answer, so that a line
    cannot tell that it failed; `decode_points` asks more of them.

    Args:
        oracle: maps points (b, n), int64 elements of F_q, to elements (b,). Asked lines * (d + 1) rows.
        x: (n,) int64, elements of F_q.
        degree: d, at least 0, the total degree of f.
        q: a prime or a prime power, at least d + 2.
        lines: T, at least 1.
        g: source of the lines.

    Returns:
        The commonest answer, an element of F_q; of several, the smallest.

    Raises:
        ValueError: if an argument is out of range, or the oracle answers anything but elements of F_q; the message names it and its value.

    Statement: vafa-rm.
    """
    field, t = _require_line(x, degree, q, lines)
    b = torch.randint(q, (lines, 1, len(x)), generator=g).to(x.device)
    points = field.add(x, field.multiply(t[:, None], b))
    values = _ask(oracle, points.flatten(0, 1), q).view(lines, len(t))
    answers, votes = torch.tensor([interpolate_at_zero(t, row, q) for row in values]).unique(return_counts=True)
    return answers[votes.argmax()].item()


def berlekamp_welch(t: Tensor, values: Tensor, degree: int, errors: int, q: int) -> Tensor | None:
    r"""The polynomial of degree at most d that differs from the values at most at e points, or None if there is none: it never guesses.

    $Q(t_i)=y_iE(t_i)$ for $Q=pE$, where E is monic of degree e and 0 wherever a value is wrong: N linear equations for the d + e + 1 coefficients of Q and
    the e of E. Every solution has the same quotient, and a quotient without remainder differs from the values only at zeros of E.

    Args:
        t: (N,) int64, different elements of F_q other than 0.
        values: (N,) int64, elements of F_q.
        degree: d, at least 0.
        errors: e, 0 <= e <= (N - d - 1) / 2.
        q: a prime or a prime power.

    Returns:
        int64 (d + 1,), constant first, so that p(0) is the first; or None.

    Raises:
        ValueError: if an argument is out of range; the message names it and its value.

    Statement: vafa-rm-bw.
    """
    field = _require_errors(t, values, degree, errors, q)
    powers = field.powers(t, degree + errors + 1)
    products = field.multiply(values[:, None], powers)
    matrix = torch.cat([powers, field.negative(products[:, :errors])], dim=1)
    solution = field.solve(matrix, field.multiply(values, field.power(t, errors)))
    if solution is None:
        return None
    Q, E = solution[: degree + errors + 1], torch.cat([solution[degree + errors + 1 :], torch.ones_like(t[:1])])
    quotient, remainder = field.divide_polynomials(Q, E)
    return None if remainder.any() else quotient


def decode_points(
    oracle: Callable[[Tensor], Tensor],
    x: Tensor,
    degree: int,
    q: int,
    points: int,
    lines: int,
    g: torch.Generator,
    curve_degree: int = 1,
) -> Tensor:
    r"""f at many points at once: for each the commonest answer of `lines` random lines, or curves, through N points each.

    Along a line, or a curve of degree c, f is a polynomial of degree cd. From N = cd + 1 points it is interpolated, which always gives an answer; from
    more, $e=\lfloor(N-cd-1)/2\rfloor$ errors are corrected, and a line on which there are more says nothing, unless what it sees is within e errors of another
    polynomial. `success_bound` and `plurality_bound` say how often that goes well.

    Args:
        oracle: maps points (b, n), int64 elements of F_q, to elements (b,). Asked b * N * lines rows, in one call for each of the lines.
        x: (b, n) int64, elements of F_q.
        degree: d, at least 0, the total degree of f.
        q: a prime or a prime power, above N.
        points: N, asked at t = 1, ..., N; from cd + 1 to q - 1.
        lines: T, at least 1.
        g: source of the lines.
        curve_degree: c, 1 for lines or 2 for curves.

    Returns:
        int64 (b,): elements of F_q, or UNDECODED, which is -1, where no line could be decoded or two answers are equally common.

    Raises:
        ValueError: if an argument is out of range, or the oracle answers anything but elements of F_q; the message names it and its value.

    Statement: vafa-rm, vafa-rm-bw.
    """
    field = _require_batch(x, degree, q, points, lines, curve_degree)
    t, restricted = torch.arange(1, points + 1, device=x.device), curve_degree * degree
    answers = []
    for _ in range(lines):
        asked = x[:, None].expand(-1, points, -1)
        for power in range(1, curve_degree + 1):
            b = torch.randint(q, (len(x), 1, x.shape[1]), generator=g).to(x.device)
            asked = field.add(asked, field.multiply(field.power(t, power)[:, None], b))
        values = _ask(oracle, asked.flatten(0, 1), q).view(len(x), points)
        if points == restricted + 1:
            answers.append(field.matmul(values, lagrange_at_zero(field, t)[:, None])[:, 0])
        else:
            answers.append(decode_at_zero(t, values, restricted, (points - restricted - 1) // 2, q))
    return commonest(torch.stack(answers, dim=1))


def commonest(answers: Tensor) -> Tensor:
    """Of every row (b, T) the answer given most often, not counting UNDECODED; UNDECODED where there is none, or a tie."""
    ordered = answers.sort(dim=1).values
    first = torch.searchsorted(ordered, ordered, right=False)
    votes = torch.where(ordered == UNDECODED, 0, torch.searchsorted(ordered, ordered, right=True) - first)
    most = votes.max(dim=1, keepdim=True).values
    leaders = torch.where(votes == most, ordered, -2)
    low, high = torch.where(leaders == -2, torch.iinfo(torch.int64).max, leaders).min(dim=1).values, leaders.max(dim=1).values
    return torch.where((most[:, 0] > 0) & (low == high), high, UNDECODED)


def correctable(degree: int, points: int, curve_degree: int = 1) -> int:
    r"""$e=\lfloor(N-cd-1)/2\rfloor$: how many wrong answers on one line, or curve of degree c, do no harm."""
    _require_whole(degree, "degree", 0)
    _require_curve(curve_degree)
    _require_whole(points, "points", curve_degree * degree + 1)
    return (points - curve_degree * degree - 1) // 2


def success_bound(delta: float, degree: int, points: int, curve_degree: int = 1) -> float:
    r"""The probability with which one line, or curve, gives f(x) at least, whichever fraction $\delta$ of the points, or less, is wrong.

    The number X of wrong answers among N uniform points has mean $\mu\le\delta N$, and the line fails only if $X\ge e+1$: with probability at most
    $\mu/(e+1)$, by Markov, which for N = d + 1 is the union bound $(d+1)\delta$. On curves the points are independent in pairs, so that the variance is
    $N\delta(1-\delta)$, and where $e+1>\mu$ also at most $\frac{\sigma^2}{\sigma^2+(e+1-\mu)^2}$, by Chebyshev's one-sided inequality (Cantelli's).

    Args:
        delta: in [0, 1].
        degree: d, at least 0.
        points: N, at least c d + 1.
        curve_degree: c, 1 or 2.

    Returns:
        In [0, 1]; 0 where nothing is promised.

    Statement: vafa-rm, vafa-rm-bw.
    """
    beyond = correctable(degree, points, curve_degree) + 1
    _require_share(delta, "delta")
    failure = delta * points / beyond
    gap = beyond - delta * points
    if curve_degree == 2 and gap > 0:
        variance = points * min(delta, 0.5) * (1 - min(delta, 0.5))
        failure = min(failure, variance / (variance + gap**2))
    return max(0.0, 1 - failure)


def plurality_bound(success: float, lines: int) -> float:
    r"""The probability with which the commonest answer of T lines is right at least, if each is with probability p, independently: that most of them are.

    Exact for that event, so that it is at least $1-e^{-2T(p-1/2)^2}$ where $p>1/2$.

    Statement: vafa-rm.
    """
    _require_share(success, "success")
    _require_whole(lines, "lines", 1)
    return float(binom.sf(lines // 2, lines, success))


def _ask(oracle: Callable[[Tensor], Tensor], points: Tensor, q: int) -> Tensor:
    """The oracle's answers to points (b, n), refused unless they are b elements of F_q."""
    answers = oracle(points)
    finite_field(q).require_elements(answers, "the oracle's answers", (len(points),))
    return answers


def _require_whole(value: int, name: str, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")


def _require_share(value: float, name: str) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must lie in [0, 1], got {value}")


def _require_curve(curve_degree: int) -> None:
    if curve_degree not in (1, 2):
        raise ValueError(f"curve_degree must be 1 for lines or 2 for curves, got {curve_degree!r}")


def _require_degree(degree: int, q: int):
    field = finite_field(q)
    _require_whole(degree, "degree", 0)
    if q < degree + 2:
        raise ValueError(f"q must be at least degree + 2 = {degree + 2}, so that a line has degree + 1 points beside x, got {q}")
    return field


def _require_pairs(t: Tensor, values: Tensor, q: int):
    field = finite_field(q)
    require_points(field, t)
    field.require_elements(values, "values", (len(t),))
    return field


def _require_errors(t: Tensor, values: Tensor, degree: int, errors: int, q: int):
    field = finite_field(q)
    require_word(field, t, values, degree, errors, (len(t),))
    return field


def _require_line(x: Tensor, degree: int, q: int, lines: int):
    field = _require_degree(degree, q)
    field.require_elements(x, "x", ("n",))
    _require_whole(lines, "lines", 1)
    return field, torch.arange(1, degree + 2, device=x.device)


def _require_batch(x: Tensor, degree: int, q: int, points: int, lines: int, curve_degree: int):
    field = _require_degree(degree, q)
    field.require_elements(x, "x", ("b", "n"))
    _require_whole(lines, "lines", 1)
    _require_curve(curve_degree)
    least = curve_degree * degree + 1
    if isinstance(points, bool) or not isinstance(points, int) or not least <= points <= q - 1:
        raise ValueError(f"points must lie in [{least}, {q - 1}], from degree times curve_degree + 1 to q - 1, got {points!r}")
    return field

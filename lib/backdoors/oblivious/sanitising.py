r"""Sanitising a backdoored model of a real table: smoothing, self-reduction, and both together (lecture slides of Vafa, open question b.i).

Smoothing asks near x: it undoes lies that are thin there, wherever else they are. Self-reduction asks far from x, at points that look like any other: it
undoes lies that are rare in the body, however thick at x. What stops both, alone or together, is measured in
`tests/studies/SANITISING.md`. A lie where no records are, on much of the body, passes every test on records, while the questions of a reduction are uniform on
the body and meet it.

The truth is a polynomial by assumption. A network that is none has a misfit $\eta$ from the nearest, and what a reduction says of it, tampered with or not,
is wrong in proportion: by $\Lambda\eta$ at most, where that bounds the misfit at all good points, and by about $\eta$ as measured (`misfit_curve`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import isfinite

import torch
from torch import Tensor

from backdoors.definitions import labels_of, require_generator, require_whole
from backdoors.games.black_box import Oracle
from backdoors.oblivious.polynomial import amplification, mitigate_polynomial, require_answers, systematic_points
from backdoors.oblivious.real_polynomials import learn_polynomial
from backdoors.oblivious.real_tables import RealTable
from backdoors.oblivious.table_backdoors import BACKDOORS, backdoored

DEFENCES = (
    "none",
    "smoothed",
    "self-reduced",
    "smoothed, more copies",
    "self-reduced, more lines",
    "self-reduced, then smoothed",
    "smoothed, then self-reduced",
)
EDGE = 0.98  # noisy points beyond this share of the body's radius are pulled back: the boundary has no lines
MEASURED = 4000  # uniform points with which shares and misfits are measured


def smoothed_mitigation(mitigate: Callable, x: Tensor, sigma: float, copies: int, g: torch.Generator) -> float:
    r"""The median of mitigated answers around x: $\text{median}_i\,A(x+\sigma\xi_i)$ with $\xi_i\sim N(0,I)$.

    Each answer is of a mitigation of its own, with lines of its own. Of a model that is exact the answers are $f(x+\sigma\xi_i)$, so that a truth that is
    not constant is blurred; at sigma = 0 they are what the mitigation says at x.

    Args:
        mitigate: maps a point (n,), float64, and a generator to a finite number. Called `copies` times.
        x: (n,), finite.
        sigma: standard deviation of the noise, at least 0.
        copies: at least 1; of an even number the median is the lower of the two in the middle.
        g: source of the noise, drawn first, and then handed to the mitigation.

    Raises:
        ValueError: if an argument is out of range, or an answer is not finite; the message names it and its value.

    Statement: vafa-combine.
    """
    _require_smoothing(x, sigma, copies, g)
    points = x.double() + sigma * torch.randn(copies, len(x), generator=g, dtype=torch.float64)
    answers = torch.tensor([mitigate(point, g) for point in points], dtype=torch.float64)
    return float(require_answers(answers, copies).median())


def smoothed_model(oracle: Callable, n: int, sigma: float, copies: int, g: torch.Generator) -> Callable[[Tensor], Tensor]:
    r"""The other order's first half: the model $y\mapsto\text{median}_i\,M(y+\sigma\xi_i)$ with noise drawn once, so that it is a function.

    With fresh noise at every question its errors would be independent along a line, and a decoder would enlarge them by $\Lambda$. With the same noise
    a linear truth is moved by the same amount everywhere, which the decoder does not enlarge at all.

    Args:
        oracle: the model, maps (b, n) to (b,). Asked `copies` rows for each row.
        n, sigma, copies, g: as in `smoothed_mitigation`.

    Returns:
        A function from points (b, n) to (b,).

    Statement: vafa-combine.
    """
    require_whole(n, "n", 1)
    _require_smoothing(torch.zeros(n), sigma, copies, g)
    noise = sigma * torch.randn(copies, n, generator=g, dtype=torch.float64)

    def smoothed(points: Tensor) -> Tensor:
        noisy = (points.double()[:, None] + noise).flatten(0, 1)
        return require_answers(oracle(noisy), len(noisy)).view(len(points), copies).median(dim=1).values

    return smoothed


def defences(table: RealTable, sigma: float, copies: int, lines: int, degree: int | None = None) -> dict[str, Callable]:
    """The `DEFENCES` by name: functions (ask, x, generator) -> score, where `ask` maps records (b, D) to scores and x is a record (D,).

    Noise moves the coordinates of x and keeps its rest. Self-reduction asks at points of the body with the rests of random training records. The last four
    ask as many questions as one another, so that what a combination gains is not merely that it asks more. What is applied to the model itself gets the
    `copies`, be it a smoothing or, as lines, a reduction, and what is applied to its result the `lines`.

    Args:
        table: where the records are from.
        sigma, copies: of the smoothing, in units of the body's radius.
        lines: of the self-reduction.
        degree: that it decodes, the polynomial's unless given.
    """
    degree = table.degree if degree is None else degree
    n = table.body.dim

    def near(ask, x):
        return lambda points: ask(table.coordinates.moved(x.expand(len(points), -1), _inside(points)))

    def anywhere(ask, g):
        return lambda points: ask(elsewhere(table, points, g))

    def smoothed(ask, x, g, copies=copies):
        return float(smoothed_model(near(ask, x), n, sigma, copies, g)(point_of(x)[None])[0])

    def decoded(oracle, point, g, lines=lines):
        return mitigate_polynomial(oracle, _inside(point), table.body, degree, lines, g, systematic_points)

    def reduced(ask, x, g, lines=lines):
        return decoded(anywhere(ask, g), point_of(x), g, lines)

    def point_of(x):
        return table.coordinates(x[None])[0]

    answering = (
        lambda ask, x, g: float(ask(x[None])[0]),
        smoothed,
        reduced,
        lambda ask, x, g: smoothed(ask, x, g, copies * lines * (degree + 1)),
        lambda ask, x, g: reduced(ask, x, g, copies * lines),
        lambda ask, x, g: smoothed_mitigation(lambda point, own: decoded(anywhere(ask, own), point, own, copies), point_of(x), sigma, lines, g),
        lambda ask, x, g: decoded(smoothed_model(anywhere(ask, g), n, sigma, copies, g), point_of(x), g),
    )
    return dict(zip(DEFENCES, answering, strict=True))


def elsewhere(table: RealTable, points: Tensor, g: torch.Generator) -> Tensor:
    """Records (b, D) at points (b, n), with the rests of random training records."""
    return table.coordinates.moved(table.train[torch.randint(len(table.train), (len(points),), generator=g)], points)


@dataclass(frozen=True)
class Sanitised:
    """One defence against one backdoor on one table.

    Attributes:
        table, backdoor, defence: their names.
        lies: share of the body, with rests of clean records, on which the tampered model is another than the honest one.
        accuracy: on held-out labels, at records that are not attacked, the mean over the classes.
        r2: of the same answers as predictions of the honest model's scores: 1 less their mean squared difference in variances of the scores.
        success: share of the attacked records whose label is not what the honest model says of them.
        records: how many were asked about, attacked and not.
        queries: rows that the model was asked for one answer, exactly.
    """

    table: str
    backdoor: str
    defence: str
    lies: float
    accuracy: float
    r2: float
    success: float
    records: int
    queries: int


def sanitising_table(
    tables: Sequence[RealTable],
    g: torch.Generator,
    kinds: Iterable[str] = BACKDOORS,
    records: int = 20,
    sigma: float = 0.05,
    copies: int = 151,
    lines: int = 15,
    radius: float = 0.15,
    share: float = 0.44,
) -> list[Sanitised]:
    """Every backdoor against every defence, a row each.

    Each of the first test records, of either class by turns, is attacked once by a model that is tampered with for it, and asked once about of the model
    that is tampered with for the next one.

    Args:
        tables: see `fitted_table`.
        g: source of everything.
        kinds: which of the `BACKDOORS`.
        records: asked about, at most; at least 2.
        sigma, copies, lines: of the defences.
        radius, share: of the backdoors.

    Statement: vafa-combine.
    """
    require_whole(records, "records", 2)
    found = []
    for table in tables:
        x, labels = _balanced(table, records)
        truth = table.polynomial(table.coordinates(x))
        for kind in kinds:
            backdoor = backdoored(table, kind, radius, share, g)
            attacks = [backdoor(row) for row in x]
            lies = _share_of_lies(table, attacks[0][0], g)
            for name, defence in defences(table, sigma, copies, lines).items():
                asked = [Oracle(model, None) for model, _ in attacks]
                hit = torch.tensor([defence(oracle.ask, x_prime, g) for oracle, (_, x_prime) in zip(asked, attacks, strict=True)])
                queries = asked[0].queries
                clean = torch.tensor([defence(oracle.ask, row, g) for oracle, row in zip(asked[1:] + asked[:1], x, strict=True)])
                found.append(
                    Sanitised(
                        table.name,
                        kind,
                        name,
                        lies,
                        _balanced_accuracy(labels_of(clean), labels),
                        float(1 - (clean - truth).square().mean() / truth.var(correction=0)),
                        float((labels_of(hit) != labels_of(truth)).double().mean()),
                        len(x),
                        queries,
                    )
                )
    return found


def success_against_radius(
    table: RealTable, radii: Sequence[float], g: torch.Generator, records: int = 20, sigma: float = 0.05, copies: int = 151, lines: int = 15
) -> dict[str, list[float]]:
    """Of each defence, the attack's success against lies in a ball of each radius around the record.

    Statement: vafa-combine.
    """
    x, _ = _balanced(table, records)
    truth = labels_of(table.polynomial(table.coordinates(x)))
    curves = {name: [] for name in DEFENCES}
    for radius in radii:
        attacks = [backdoored(table, "ball", radius, 0.5, g)(row) for row in x]
        for name, defence in defences(table, sigma, copies, lines).items():
            answers = torch.tensor([defence(model, x_prime, g) for model, x_prime in attacks])
            curves[name].append(float((labels_of(answers) != truth).double().mean()))
    return curves


@dataclass(frozen=True)
class Misfit:
    """Self-reduction of a model that is not quite a polynomial, attacked in a ball around each record.

    Attributes:
        degree: that is decoded.
        blend: 0 for the polynomial of that degree that is nearest to the network on the body, 1 for the network, between them on the line.
        eta: misfit, the median over the body of |model - polynomial|.
        amplification: median of Lambda over the lines through the records.
        error: median over the records of |answer - honest model's|.
        success: as in `Sanitised`.
    """

    degree: int
    blend: float
    eta: float
    amplification: float
    error: float
    success: float


def misfit_curve(
    table: RealTable,
    network: Callable,
    g: torch.Generator,
    degrees: Iterable[int] = (1, 2, 3),
    blends: Iterable[float] = (0.0, 0.001, 0.01, 0.1, 0.3, 1.0),
    records: int = 20,
    lines: int = 15,
    radius: float = 0.15,
) -> list[Misfit]:
    """What misfit costs: the honest model is a blend of a network and of the polynomial nearest to it on the body (least squares over uniform points).

    Args:
        network: maps points (b, n), float64, to scores (b,).
        degrees, blends: a row for every pair.
        table, g, records, lines, radius: as in `sanitising_table`.

    Statement: vafa-combine, vafa-real.
    """
    x, _ = _balanced(table, records)
    points, uniform = table.coordinates(x), table.body.sample(MEASURED, g)
    found = []
    for degree in degrees:
        nearest = learn_polynomial(uniform, network(uniform), degree)
        enlarged = torch.cat([amplification(table.body, point, degree, lines, g, systematic_points) for point in points])
        for blend in blends:
            honest = _blend(nearest, network, blend)
            backdoor = backdoored(table, "ball", radius, 0.5, g, honest)
            reduced = defences(table, 0.0, 1, lines, degree)["self-reduced"]
            answers = torch.tensor([reduced(model, x_prime, g) for model, x_prime in map(backdoor, x)], dtype=torch.float64)
            truth = honest(points)
            eta = float((honest(uniform) - nearest(uniform)).abs().median())
            success = float((labels_of(answers) != labels_of(truth)).double().mean())
            found.append(Misfit(degree, blend, eta, float(enlarged.median()), float((answers - truth).abs().median()), success))
    return found


def _blend(polynomial: Callable, network: Callable, blend: float) -> Callable:
    return lambda points: (1 - blend) * polynomial(points) + blend * network(points)


def _inside(points: Tensor) -> Tensor:
    return points * (EDGE / points.norm(dim=-1, keepdim=True)).clamp_max(1.0)


def _balanced(table: RealTable, records: int) -> tuple[Tensor, Tensor]:
    """At most so many test records, half of them of either class as long as there are any."""
    order = torch.stack([(table.labels == label).cumsum(dim=0) for label in (-1, 1)])
    rank = torch.where(table.labels == 1, order[1], order[0])
    chosen = rank.argsort(stable=True)[:records].sort().values
    return table.test[chosen], table.labels[chosen]


def _balanced_accuracy(answers: Tensor, labels: Tensor) -> float:
    return sum(float((answers[labels == label] == label).double().mean()) for label in labels.unique()) / len(labels.unique())


def _share_of_lies(table: RealTable, model: Callable, g: torch.Generator) -> float:
    points = table.body.sample(MEASURED, g)
    return float(((model(elsewhere(table, points, g)) - table.polynomial(points)).abs() > 1e-6).double().mean())


def _require_smoothing(x: Tensor, sigma: float, copies: int, g: torch.Generator) -> None:
    if not isinstance(x, Tensor) or x.ndim != 1 or len(x) == 0 or not bool(x.isfinite().all()):
        raise ValueError(f"x must be a finite point of shape (n,), got {x.tolist() if isinstance(x, Tensor) else x!r}")
    if not (sigma >= 0 and isfinite(sigma)):
        raise ValueError(f"sigma must be at least 0 and finite, got {sigma}")
    require_whole(copies, "copies", 1)
    require_generator(g)

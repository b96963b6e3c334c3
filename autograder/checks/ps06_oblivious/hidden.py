"""Hidden checks of ps06_oblivious: models that lie wherever they like, the laws of what is asked, the edges of each statement."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import torch
from backdoors.oblivious.bodies import ball, box, ellipsoid, simplex
from scipy.stats import binom, chi2, norm

from autograder import declare
from autograder.checking import number
from autograder.checks.ps06_oblivious.public import (
    ULP,
    Mitigation,
    Model,
    Polynomial,
    Worlds,
    character,
    coin,
    decoded,
    elements,
    follows_the_generator,
    groups,
    holds_decoding,
    holds_interpolation,
    holds_rounding,
    holds_smoothing,
    inner,
    lent,
    near,
    normal,
    played,
    polynomial,
    polynomial_at,
    quantiles,
    radii_of,
    radii_through,
    share_of,
    some_points,
    source,
    spoiled,
    uniform_law,
    weight_of,
    what_lines_say,
    what_pairs_say,
)
from autograder.statistics import SHARE, binomial_at_most, dkw, sequential_at_least, sequential_at_most

# interpolate_at_zero


@declare("interpolate_at_zero", points=1, statement="vafa-rm", false_fail=0)
def test_all_lines_over_the_field_of_13_elements(student, challenger):
    for coefficients in itertools.product(range(13), repeat=2):
        holds_interpolation(student, some_points(challenger, 2, 13), coefficients, 13)
    for q in (5, 7, 13):
        for t in itertools.combinations(range(1, q), q - 2):
            holds_interpolation(student, torch.tensor(t)[torch.from_numpy(challenger.rng.permutation(q - 2))], elements(challenger, q, q - 2).tolist(), q)
        holds_interpolation(student, some_points(challenger, q - 1, q), elements(challenger, q, q - 1).tolist(), q)


@declare("interpolate_at_zero", points=1, statement="vafa-rm", false_fail=0)
def test_large_fields_and_many_points_are_exact(student, challenger):
    for q, k in ((2**31 - 1, 1), (2**31 - 1, 2), (2**31 - 1, 3), (2**31 - 1, 25), (2**31 - 19, 8), (1_000_003, 12), (65_537, 40), (7919, 5)):
        holds_interpolation(student, some_points(challenger, k, q), elements(challenger, q, k).tolist(), q)
        largest = torch.from_numpy(q - 1 - challenger.rng.permutation(2 * k)[:k])
        holds_interpolation(student, largest, (q - 1 - elements(challenger, 3, k)).tolist(), q)


# decode_line


@declare("decode_line", points=1, statement="vafa-rm", false_fail=6.5e-8)
def test_queries_are_uniform_and_x_is_none_of_them_but_by_chance(student, challenger):
    """Of each line only one row is looked at, so that the rows are independent."""
    trials, share = 300, SHARE / 2
    for n, degree, q in ((1, 1, 5), (2, 3, 5), (3, 1, 31)):
        f, x, asked = Polynomial(challenger, n, degree, q), elements(challenger, q, n), []
        for _ in range(trials):
            _, record = decoded(student, challenger, f, x, degree, q, 1, source(challenger))
            rows = torch.cat(record.rows)
            asked.append(rows[int(challenger.rng.integers(len(rows)))])
        away, case = (torch.stack(asked) - x) % q, f"n = {n}, d = {degree}, q = {q}"
        challenger.accept(_uniform(away[:, 0], q), f"{case}: the first coordinate of a query must be uniform")
        share_of(challenger, int((away == 0).all(dim=1).sum()), trials, q**-n, f"{case}: queries that are x itself", share)
        share_of(challenger, int((away[:, -1] == 0).sum()), trials, 1 / q, f"{case}: queries that have x's last coordinate", share)
        if n > 1:
            same = int((away[:, 0] == away[:, 1]).sum())
            share_of(challenger, same, trials, 1 / q, f"{case}: queries as far from x in one coordinate as in the next", share)
    constant, x = Polynomial(challenger, 1, 0, 5), elements(challenger, 5, 1)
    _, record = decoded(student, challenger, constant, x, 0, 5, trials, source(challenger))
    rows = torch.cat(record.rows)
    challenger.accept(_uniform((rows[:, 0] - x) % 5, 5), f"d = 0, q = 5, {trials} lines: the queries must be uniform, each by itself")
    repeated = int((rows[1::2] == rows[: len(rows) - 1 : 2]).sum())
    share_of(challenger, repeated, len(rows) // 2, 1 / 5, f"d = 0, q = 5, {trials} lines: queries of a line that are those of the line before", share)


def _uniform(values: torch.Tensor, q: int):
    return dkw(values.numpy(), lambda v: np.clip((np.floor(v) + 1) / q, 0, 1), SHARE / 2)


class Enemy:
    """A model that is right but near the point x: it adds a drawn polynomial where `region` says so, and 1 where that is 0."""

    def __init__(self, challenger, f: Polynomial, region):
        self.f, self.region, self.q = f, region, f.q
        self.shift = Polynomial(challenger, len(f.exponents[0]), 1, f.q)

    def __call__(self, points):
        lie = self.shift(points)
        return (self.f(points) + torch.where(lie == 0, 1, lie) * self.region(points)) % self.q


def _regions(challenger, x: torch.Tensor, q: int, delta: float) -> dict:
    """Sets of points, a fraction of delta at most, that hold x."""
    n, size = len(x), math.floor(delta * q)
    direction, places = 1 + elements(challenger, q - 1, n), q ** torch.arange(n)
    chosen = torch.zeros(q**n, dtype=torch.bool)
    chosen[1 + torch.from_numpy(challenger.rng.permutation(q**n - 1)[: math.floor(delta * q**n) - 1])] = True
    chosen[0] = True  # x itself
    radius = (math.floor(delta ** (1 / n) * q) - 1) // 2

    def ball(points):
        away = (points - x) % q
        return (torch.minimum(away, q - away) <= radius).all(dim=1)

    def hyperplanes(points):
        return ((points - x) @ direction) % q < size

    def first_steps(points):
        return ((points - x)[:, 0] % q) < size

    def scattered(points):
        return chosen[((points - x) % q) @ places]

    return {"a ball around x": ball, "hyperplanes at x": hyperplanes, "the first steps away from x": first_steps, "points all over": scattered}


@declare("decode_line", points=2, statement="vafa-rm", false_fail=8e-8)
def test_one_line_is_right_two_times_of_three_whoever_chose_the_errors(student, challenger):
    for n, degree, q in ((2, 2, 101), (1, 4, 61)):
        x = elements(challenger, q, n)
        for name, region in _regions(challenger, x, q, 1 / (3 * (degree + 1))).items():
            f = Polynomial(challenger, n, degree, q)
            model, expected = Enemy(challenger, f, region), int(f(x[None])[0])
            right = (decoded(student, challenger, model, x, degree, q, 1, source(challenger))[0] == expected for _ in range(300))  # noqa: B023 (used at once)
            outcome = sequential_at_least(right, 2 / 3, 0.4)
            what = f"n = {n}, d = {degree}, q = {q}, errors at a fraction of 1 / (3 (d + 1)), {name}: one line must be right in 2 cases of 3 at least"
            challenger.accept(outcome, f"{what}, and is in {outcome.statistic:.3f}")


@declare("decode_line", points=1, statement="vafa-rm", false_fail=2e-8)
def test_many_lines_are_right_more_often_than_one(student, challenger):
    """At most 3 of 31 hyperplanes lie, so that a line is right with probability 22/31 at least, and most of 15 are with .95; one line alone is with .78."""
    n, degree, q, lines = 2, 2, 31, 15
    for _ in range(2):
        f, x, direction = Polynomial(challenger, n, degree, q), elements(challenger, q, n), 1 + elements(challenger, q - 1, n)
        model = Enemy(challenger, f, lambda points, x=x, direction=direction: ((points - x) @ direction) % q < 3)
        expected, bound = int(f(x[None])[0]), float(binom.sf(lines // 2, lines, 22 / 31))
        right = (decoded(student, challenger, model, x, degree, q, lines, source(challenger))[0] == expected for _ in range(200))  # noqa: B023 (used at once)
        outcome = sequential_at_least(right, bound, 0.8)
        what = f"d = {degree}, q = {q}, {lines} lines, each right with probability 22/31 at least: the answer must be right with {bound:.3f}"
        challenger.accept(outcome, f"{what}, and is with {outcome.statistic:.3f}")


@declare("decode_line", points=1, statement="vafa-rm", false_fail=0)
def test_the_commonest_answer_counts_and_the_smallest_of_several(student, challenger):
    """At d = 0 every answer of the model is one of a line: what the challenger saw tells which was commonest."""
    for q, lines, rounds in ((5, 2, 12), (5, 4, 12), (7, 9, 12), (101, 3, 6), (13, 40, 3)):
        for _ in range(rounds):
            table = elements(challenger, q, q * q)
            model = lambda points, table=table, q=q: table[points @ torch.tensor([1, q])]  # noqa: E731
            answer, record = decoded(student, challenger, model, elements(challenger, q, 2), 0, q, lines, source(challenger))
            votes = [record.answers.count(one) for one in range(q)]
            expected = votes.index(max(votes))
            seen = sorted(record.answers)[:12]
            assert answer == expected, (
                f"d = 0, q = {q}, {lines} lines, whose answers are {seen}: the commonest, of several the smallest, is {expected}, got {answer}"
            )
    f, x, seeds = Polynomial(challenger, 4, 1, 101), elements(challenger, 101, 4), (5, 5, 6)
    first, same, other = (torch.cat(decoded(student, challenger, f, x, 1, 101, 3, torch.Generator().manual_seed(seed))[1].rows).tolist() for seed in seeds)
    assert first == same, "generators in the same state must ask the same points: draw all of them from g"
    assert first != other, "generators of different seeds must ask different points: draw them from g"


# berlekamp_welch


@declare("berlekamp_welch", points=3, statement="vafa-rm-bw", false_fail=0)
def test_all_patterns_of_errors_within_the_radius_are_corrected(student, challenger):
    for n, degree, errors, q in ((8, 1, 3, 13), (6, 2, 1, 7), (4, 1, 1, 5)):
        for count in range(errors + 1):
            for wrong in itertools.combinations(range(n), count):
                t, coefficients = some_points(challenger, n, q), elements(challenger, q, degree + 1).tolist()
                coefficients = [0] * (degree + 1) if sum(wrong) % 7 == 3 else coefficients
                values, what = spoiled(challenger, t, coefficients, wrong, q), f"{count} values are wrong"
                holds_decoding(student, t, values, degree, errors, q, coefficients, what)
    for n, degree, errors, q in ((12, 3, 4, 13), (12, 5, 2, 13), (12, 11, 0, 13), (20, 2, 8, 2**31 - 1), (14, 4, 4, 2**31 - 19), (30, 9, 10, 1_000_003)):
        for count in (0, errors // 2, errors, errors):
            t = some_points(challenger, n, q)
            coefficients, other = (elements(challenger, q, degree + 1).tolist() for _ in range(2))
            coefficients[-1] *= int(challenger.rng.integers(2))
            wrong = challenger.rng.permutation(n)[:count].tolist()
            holds_decoding(student, t, spoiled(challenger, t, coefficients, wrong, q), degree, errors, q, coefficients, f"{count} values are wrong")
            values = [polynomial_at(coefficients, one, q) for one in t.tolist()]
            for place in wrong:
                values[place] = polynomial_at(other, int(t[place]), q)
            holds_decoding(student, t, values, degree, errors, q, coefficients, f"{count} values lie on another polynomial")


@declare("berlekamp_welch", points=3, statement="vafa-rm-bw", false_fail=0)
def test_beyond_the_radius_it_never_guesses(student, challenger):
    """What is right follows from all polynomials of the degree, one by one."""
    for n, degree, errors, q in ((6, 1, 2, 7), (6, 1, 1, 7), (4, 0, 1, 5), (9, 2, 3, 13), (12, 1, 5, 13), (12, 1, 2, 13), (8, 2, 0, 11)):
        every = np.array(list(itertools.product(range(q), repeat=degree + 1)))
        for trial in range(16):
            t = some_points(challenger, n, q)
            near_by = elements(challenger, q, degree + 1).tolist()
            count = min(n, errors + 1 + trial % 3 // 2)
            values = spoiled(challenger, t, near_by, challenger.rng.permutation(n)[:count].tolist(), q)
            values = elements(challenger, q, n).tolist() if trial % 3 == 0 else values
            powers = np.array([[pow(one, k, q) for one in t.tolist()] for k in range(degree + 1)])
            wrong = ((every @ powers) % q != np.array(values)).sum(axis=1)
            expected = every[wrong.argmin()].tolist() if wrong.min() <= errors else None
            what = f"t = {t.tolist()}, values = {values}, where the nearest polynomial differs at {wrong.min()}"
            holds_decoding(student, t, values, degree, errors, q, expected, what)


# play_mitigation


@declare("play_mitigation", points=2, statement="vafa-mitigation", false_fail=3e-8)
def test_the_bound_holds_for_known_distances(student, challenger):
    """Answers 1 below a threshold of one coin: the distance of the laws is that of the thresholds, and so is the probability that coupled answers differ."""
    for far, rounds, alpha in ((0.4, 8, 0.3), (0.1, 12, 0.2)):

        def misses(far=far, rounds=rounds, alpha=alpha):
            for _ in range(60):
                worlds = Worlds(challenger, lambda _, x, g: coin(x, g) < 0.3, lambda x, g: coin(x, g) < 0.3 + far)
                yield played(student, worlds, elements(challenger, 9, 2), rounds, alpha, source(challenger))[1] < far

        outcome = sequential_at_most(misses(), alpha, 0.8)
        challenger.accept(outcome, f"the laws are {far} apart: the bound may be below that in {alpha} of all games, and is in {outcome.statistic:.2f}")
    x, rounds = elements(challenger, 9, 2), 12
    kinds = {
        "numbers 1e-12 apart": (lambda u: u, lambda u: u + 1e-12),
        "small whole numbers": (lambda u: int(6 * u), lambda u: int(6 * (1 - u))),
        "a number or None": (lambda u: None if u < 0.5 else u, lambda u: u),
        "pairs": (lambda u: (1, u < 0.4), lambda u: (1, u < 0.6)),
        "tensors": (lambda u: torch.tensor([1.0, u < 0.4]), lambda u: torch.tensor([1.0, u < 0.6])),
        "words": (lambda u: "yes" if u < 0.4 else "no", lambda u: "yes" if u < 0.8 else "no"),
    }
    for real, simulated in kinds.values():
        worlds = Worlds(challenger, lambda _, x, g, real=real: real(coin(x, g)), lambda x, g, simulated=simulated: simulated(coin(x, g)))
        played(student, worlds, x, rounds, 0.1, source(challenger))
    seen = []
    for seed in (5, 5, 6):
        worlds = Worlds(challenger, lambda _, x, g: 0, lambda x, g: 0)
        played(student, worlds, x, rounds, 0.1, torch.Generator().manual_seed(seed))
        seen.append(worlds.coins[0])
    assert seen[0] == seen[1], "generators in the same state must give the same rounds: draw the seeds from g"
    assert seen[0] != seen[2], "generators of different seeds must give different rounds: draw the seeds from g"


@declare("play_mitigation", points=1, statement="vafa-mitigation", false_fail=1e-10)
def test_who_answers_as_the_model_does_is_exposed(student, challenger):
    rounds = 40
    for q in (11, 101):
        x = elements(challenger, q, 2)
        truth = lambda points, q=q: points.sum(dim=1) % q  # noqa: E731
        lying = lambda points, q=q, x=x: (points.sum(dim=1) + (points == x).all(dim=1).long()) % q  # noqa: E731

        def asked_elsewhere(ask, x, g, q=q):
            shift = torch.randint(1, q, x.shape, generator=g)
            return int((ask((x + shift)[None] % q)[0] - shift.sum()) % q)

        naive = Worlds(challenger, lambda ask, x, g: int(ask(x[None])[0]), lambda x, g, truth=truth: int(truth(x[None])[0]), lying)
        distance, upper = played(student, naive, x, rounds, 0.01, source(challenger))
        assert distance == upper == 1, f"a mitigator that answers M(x), which is wrong: both numbers must be 1, got {distance:.4g} and {upper:.4g}"
        asked = naive.model.queries
        assert asked == rounds, f"in each of the {rounds} rounds the mitigator asks the model once: {asked} questions reached it"
        honest = Worlds(challenger, asked_elsewhere, lambda x, g, truth=truth: int(truth(x[None])[0]), lying)
        distance, _ = played(student, honest, x, rounds, 0.01, source(challenger))
        assert distance == 0, f"a mitigator that asks where the model is right never differs from the truth, got the distance {distance:.4g}"


# points_on_line


@declare("points_on_line", points=2, statement="vafa-correlated", false_fail=6e-8)
def test_radii_off_the_middle_have_the_density_of_a_uniform_point(student, challenger):
    for n, r_minus, r_plus in ((1, 0.5, 2.0), (2, 3.0, 1.8), (3, 1.0, 1.3), (5, 2.0, 2.2), (12, 1.1, 1.0), (40, 0.98, 1.0)):
        scale = float(challenger.rng.uniform(0.2, 5))
        left, right = r_minus * scale, r_plus * scale
        r = radii_of(student, left, right, n, 20_000, source(challenger))
        p = right**n / (left**n + right**n)
        case = f"n = {n}, r_minus = {left:.3f}, r_plus = {right:.3f} (a share of {float((r > 0).double().mean()):.3f} on the side of +, expected {p:.3f})"
        uniform_law(challenger, quantiles(r, left, right, n), f"{case}: radii must have a density proportional to |r|^{n - 1}")


@declare("points_on_line", points=2, statement="vafa-correlated", false_fail=8e-8)
def test_radii_are_independent_on_a_line_and_from_line_to_line(student, challenger):
    left, right = torch.from_numpy(challenger.rng.uniform(0.7, 1.3, (2, 8000)))
    u = quantiles(radii_of(student, left, right, 3, 3, source(challenger)), left, right, 3)
    for what, one, other in (("two points of a line", u[:, 0], u[:, 2]), ("two lines", u[::2, 1], u[1::2, 1])):
        for sign in (1, -1):
            uniform_law(challenger, (one + sign * other) % 1, f"n = 3, 8000 lines at once: the radii of {what} must be independent")
    left, right = challenger.rng.uniform(0.8, 1.2, 2).tolist()
    u = quantiles(radii_of(student, left, right, 3, 8000, source(challenger)), left, right, 3)
    for sign in (1, -1):
        uniform_law(challenger, (u[::2] + sign * u[1::2]) % 1, "n = 3, one line of 8000 points: the radii must be independent")
    pairs = torch.stack([radii_of(student, left, right, 3, 2, source(challenger)) for _ in range(500)])
    u = quantiles(pairs, left, right, 3)
    for sign in (1, -1):
        uniform_law(challenger, (u[:, 0] + sign * u[:, 1]) % 1, "n = 3, a line of two points, 500 times: the radii must be independent")


# mitigate_polynomial


def wild(challenger, n: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """A function without any structure, the same one always, whose values have no mean."""
    slopes, shift = 300 * normal(challenger, n), float(challenger.rng.uniform(0, 3))
    return lambda points: torch.tan(points @ slopes + shift)


def is_median(found: float, says: list[tuple[float, float, float]], case: str) -> None:
    """Fails unless the answer is the median of an odd number of estimates, each of which rounding may have moved so far."""
    low, high = (sorted(estimate + sign * moved for estimate, moved, _ in says)[len(says) // 2] for sign in (-1, 1))
    estimates = [round(estimate, 4) for estimate, _, _ in says[:7]]
    assert low <= found <= high, f"{case}: must be the median of the estimates {estimates}, {(low + high) / 2:.9g}, got {found:.9g}"


@declare("mitigate_polynomial", points=2, statement="vafa-real", false_fail=0)
def test_whatever_the_model_answers_the_median_of_the_lines_is_returned(student, challenger):
    matrix = torch.eye(5, dtype=torch.float64) + 0.3 * normal(challenger, 5, 5) / 5
    bodies = (ball(2, 2.0, normal(challenger, 2)), ellipsoid(matrix, normal(challenger, 5)), box(-torch.ones(3), torch.tensor([2.0, 0.5, 4.0])), simplex(3))
    for body in bodies:
        for degree, lines in ((1, 5), (2, 1), (3, 7), (0, 9)):
            model, x = Model(wild(challenger, body.dim), body.dim), inner(challenger, body)
            found = number(student.mitigate_polynomial(challenger.oracle(model), x, lent(body), degree, lines, source(challenger)), "mitigate_polynomial")
            case = f"{body.name}, n = {body.dim}, degree {degree}, {lines} lines"
            is_median(found, what_lines_say(model, x, degree, lines), case)
            assert float(body.margin(torch.cat(model.asked)).min()) >= -1e-9, f"{case}: the model must be asked at points of the body"
    body, x = ball(3), torch.tensor([0.1, -0.2, 0.3], dtype=torch.float64)

    def asked(g, radii=None):
        model = Model(wild(challenger, 3), 3)
        given = () if radii is None else (radii,)
        found = number(student.mitigate_polynomial(challenger.oracle(model), x, lent(body), 2, 3, g, *given), "mitigate_polynomial")
        is_median(found, what_lines_say(model, x, 2, 3), "a ball, degree 2, 3 lines")
        return torch.cat(model.asked)

    follows_the_generator(asked, "mitigate_polynomial")
    drawn = []

    def halfway(r_minus, r_plus, n, count, g):
        left, right = (torch.as_tensor(side, dtype=torch.float64)[..., None] for side in (r_minus, r_plus))
        drawn.append((torch.linspace(0.2, 0.9, count, dtype=torch.float64) * (left + right) - left).reshape(-1))
        return drawn[-1].reshape(*left.shape[:-1], count)

    points = asked(source(challenger), halfway)
    assert drawn, "where `radii` is given, it must draw the radii"
    found, wanted = (points - x).norm(dim=1).sort().values, torch.cat(drawn).abs().sort().values
    right = found.shape == wanted.shape and torch.allclose(found, wanted, rtol=1e-9, atol=1e-9)
    assert right, f"where `radii` is given, the points must lie at the radii that it draws, {wanted[:3].tolist()}..., got {found[:3].tolist()}..."


def below_distance(t: torch.Tensor, depth: float) -> torch.Tensor:
    """The share of the unit ball in three dimensions that lies within t of a point at this depth from its centre: where the balls cut one another, a lens."""
    lens = (1 + t - depth) ** 2 * (depth**2 + 2 * depth * (1 + t) - 3 * (1 - t) ** 2) / (16 * depth)
    return torch.where(t <= 1 - depth, t**3, torch.where(t >= 1 + depth, 1.0, lens))


def below_height(t: torch.Tensor) -> torch.Tensor:
    """The share of it that lies below this height."""
    return (2 + 3 * t - t**3) / 4


def majority_error(radii: torch.Tensor, bad: torch.Tensor, size: float) -> float:
    """How far from the truth rounding may move the median of lines of which some are bad: more than half of the lines are as near, if any such bound is. The
    condition number bounds both the weights and what an error of the radii does to them."""
    condition = np.linalg.cond(np.stack([np.vander(r, increasing=True) for r in radii.numpy()]))
    moved = np.where(bad.numpy(), np.inf, 1000 * ULP * size * condition**2)
    return float(np.sort(moved)[len(moved) // 2])


@declare("mitigate_polynomial", points=2, statement="vafa-real", false_fail=1.2e-7)
def test_every_point_is_uniform_and_few_lines_meet_an_error(student, challenger):
    degree, lines, delta = 2, 2001, 0.08
    e, depth = normal(challenger, 3), float(challenger.rng.uniform(0.75, 0.85))
    e /= e.norm()
    x, f = depth * e, polynomial(challenger, 3, degree)
    laws = {  # each is uniform on [0, 1] for uniform points of the ball, and a model that lies where one is small or large lies on a fraction delta
        "distance from x": lambda points: below_distance((points - x).norm(dim=1), depth),
        "height in the direction of x": lambda points: below_height(points @ e),
        "distance from the centre": lambda points: points.norm(dim=1) ** 3,
    }
    model = Model(lambda points: f(points) + 1e6 * (laws["distance from x"](points) < delta), 3)
    found = number(student.mitigate_polynomial(challenger.oracle(model), x, lent(ball(3)), degree, lines, source(challenger)), "mitigate_polynomial")
    points, answers = model.rows(lines * (degree + 1), f"{lines} lines, degree {degree}")
    rows, radii = radii_through(x, points, degree + 1)
    one = torch.from_numpy(challenger.rng.integers(0, degree + 1, lines))  # of each line, in whatever order it was asked: only lines are independent
    case = f"a ball, x at {depth:.2f} of its radius"
    for what, law in laws.items():
        quantile = law(points)
        uniform_law(challenger, quantile[rows[torch.arange(lines), one]], f"{case}: points that are asked must be uniform on the ball, their {what} is not")
        for where, bad in (("small", quantile < delta), ("large", quantile > 1 - delta)):
            outcome = binomial_at_most(int(bad[rows].any(dim=1).sum()), lines, (degree + 1) * delta)
            message = f"{case}, a model that lies on a fraction {delta} of the ball, where the {what} is {where}: a share {outcome.statistic:.3f} of the lines"
            challenger.accept(outcome, f"{message} meets it, at most {(degree + 1) * delta:g} is right")
    bad, expected = (laws["distance from x"](points) < delta)[rows].any(dim=1), float(f(x[None])[0])
    tolerance = majority_error(radii, bad, float(f(points).abs().max()))
    assert abs(found - expected) <= tolerance, f"{case}, a model that lies on a fraction {delta}: must be f(x) = {expected:.9g}, got {found:.9g}"
    low, high = torch.tensor([-1.0, 0.0, 2.0], dtype=torch.float64), torch.tensor([1.0, 0.5, 7.0], dtype=torch.float64)
    x, model = low + torch.tensor([0.8, 0.3, 0.15], dtype=torch.float64) * (high - low), Model(lambda points: points[:, 0], 3)
    student.mitigate_polynomial(challenger.oracle(model), x, lent(box(low, high)), 1, lines, source(challenger))
    points, _ = model.rows(2 * lines, f"{lines} lines, degree 1")
    rows, _ = radii_through(x, points, 2)
    chosen = points[rows[torch.arange(lines), torch.from_numpy(challenger.rng.integers(0, 2, lines))]]
    for axis in range(3):
        quantile = (chosen[:, axis] - low[axis]) / (high[axis] - low[axis])
        uniform_law(challenger, quantile, f"points that are asked must be uniform on the box, their coordinate {axis} is not")


# round_to_shifted_grid


@declare("round_to_shifted_grid", points=1, statement="vafa-real", false_fail=0)
def test_any_number_is_rounded_to_any_grid(student, challenger):
    for step in (1.0, 1e-3, 250.0, *challenger.rng.uniform(0.01, 10, 3).tolist()):
        shifts = (-7.3 * step, 0.75 * step, 12.6 * step)
        values = (0.0, -0.3 * step, -0.7 * step, *challenger.rng.uniform(-20 * step, 0, 4).tolist(), 1e6 + 0.123 * step, -1e6 * step)
        for shift in shifts:
            for value in values:
                holds_rounding(student, value, step, shift)
            holds_rounding(student, shift, step, shift)
            holds_rounding(student, -shift + 0.2 * step, step, shift)


@declare("round_to_shifted_grid", points=1, statement="vafa-mitigation", false_fail=0)
def test_near_numbers_differ_for_a_share_of_the_shifts_that_is_their_distance(student, challenger):
    count = 300
    for ratio, sign in ((0.07, 1), (0.4, -1), (1.0, 1)):
        step, offset = challenger.rng.uniform((0.1, 0.0), (3.0, 1.0)).tolist()
        value = sign * float(challenger.rng.uniform(1, 9)) * step
        differ = 0
        for i in range(count):  # the shifts are spread evenly over [0, step): at most one more or fewer of them lie in an interval than its length says
            shift = step * (i + offset) / count
            first, second = (holds_rounding(student, one, step, shift) for one in (value, value + ratio * step))
            differ += abs(second - first) > step / 2
        case = f"step = {step:.4g}, numbers {ratio:g} steps apart, {count} shifts spread over [0, step)"
        assert abs(differ - ratio * count) <= 1 + 1e-6, f"{case}: they must be rounded to different numbers for {ratio * count:g} of them, got {differ}"


# mitigate_linear


@declare("mitigate_linear", points=1, statement="vafa-linear", false_fail=0)
def test_whatever_the_model_answers_the_median_of_the_pairs_is_returned(student, challenger):
    def asked(n, length, pairs, g):
        x, model = normal(challenger, n), Model(wild(challenger, n), n)
        x *= length / x.norm()
        found = number(student.mitigate_linear(challenger.oracle(model), x, pairs, g), "mitigate_linear")
        is_median(found, what_pairs_say(model, x, pairs), f"n = {n}, |x| = {length:g}, {pairs} pairs")
        return torch.cat(model.asked)

    for n, length in ((2, 1.0), (3, 0.01), (5, 30.0), (20, 4.0)):
        for pairs in (1, 3, 9, 41):
            asked(n, length, pairs, source(challenger))
    x = normal(challenger, 4)

    def points(g):
        model = Model(wild(challenger, 4), 4)
        student.mitigate_linear(challenger.oracle(model), x, 5, g)
        return model.rows(10, "5 pairs")[0]

    follows_the_generator(points, "mitigate_linear")


@declare("mitigate_linear", points=2, statement="vafa-linear", false_fail=1e-7)
def test_every_point_is_normal_and_few_pairs_meet_an_error(student, challenger):
    n, pairs, delta = 4, 2001, 0.1
    threshold = float(norm.isf(delta))
    for length in (10.0, 0.05):
        w, e = normal(challenger, n), normal(challenger, n)
        e /= e.norm()
        x = length * e
        model = Model(lambda points, w=w, e=e: points @ w + 1e6 * (points @ e > threshold), n)
        found = number(student.mitigate_linear(challenger.oracle(model), x, pairs, source(challenger)), "mitigate_linear")
        points, _ = model.rows(2 * pairs, f"{pairs} pairs")
        case, along = f"|x| = {length:g}, {pairs} pairs", points @ e
        rows = groups(torch.cat([points - along[:, None] * e, along.abs()[:, None]], dim=1), 2, f"{case}: points must come in pairs of reflections")
        one = points[rows[torch.arange(pairs), torch.from_numpy(challenger.rng.integers(0, 2, pairs))]]  # pairs are independent, their points are not
        other = normal(challenger, n)
        other -= (other @ e) * e
        laws = (
            ("inner products with x / |x|", norm.cdf((one @ e).numpy())),
            ("inner products with a direction orthogonal to x", norm.cdf((one @ other / other.norm()).numpy())),
            ("their squared norms", chi2.cdf(one.square().sum(dim=1).numpy(), n)),
        )
        for what, quantile in laws:
            uniform_law(challenger, torch.from_numpy(quantile), f"{case}: the points that are asked must be N(0, I), {what} are not")
        for what, direction in (("along x", e), ("across x", other / other.norm())):
            bad = int((points[rows] @ direction > threshold).any(dim=1).sum())
            outcome = binomial_at_most(bad, pairs, 2 * delta)
            challenger.accept(outcome, f"{case}: a model that lies on a fraction {delta} of the inputs, those far out {what}, meets {bad} pairs")
        expected = float(w @ x)
        tolerance = 1e-9 * length * float(w.norm()) * 100
        assert abs(found - expected) <= tolerance, f"{case}: a model that lies on a fraction {delta}: must be <w, x> = {expected:.9g}, got {found:.9g}"


# bucket_weight


def _table_model(table: np.ndarray):
    """By all its answers, in the order of bits, the first coordinate's the lowest."""
    n = len(table).bit_length() - 1
    answers = torch.from_numpy(table)
    return lambda bits: answers[bits @ (1 << torch.arange(n))]


def _parities(n: int) -> np.ndarray:
    """All characters, one a row, at all inputs."""
    numbers = range(2**n)
    return np.array([[1.0 - 2 * ((one & other).bit_count() % 2) for one in numbers] for other in numbers])


def _members(number: int, n: int) -> torch.Tensor:
    return torch.tensor([number >> place & 1 for place in range(n)])


@declare("bucket_weight", points=2, statement="gsvv-fourier", false_fail=3.5e-8)
def test_estimates_are_as_near_to_the_walsh_transform_as_hoeffding_says(student, challenger):
    n, samples, share = 6, 4000, SHARE / 4
    numbers = np.arange(2**n)
    first, last = numbers & 1, numbers >> (n - 1)
    for table in (1 - 2 * (challenger.rng.random(2**n) < 0.15), 1 - 2 * (first & last), 1 - 2 * np.where(last, first, numbers >> 1 & 1)):
        weights, model = (_parities(n) @ table / 2**n) ** 2, _table_model(table)
        for k in (1, 2, n - 1, n):
            number = (
                int(challenger.rng.integers(2**k)) if k == 2 else 1 << (k - 1) if k > 2 else int(np.argmax([weights[numbers & 1 == b].sum() for b in (0, 1)]))
            )
            prefix, under = _members(number, k), weights[numbers & (2**k - 1) == number].sum()
            found = weight_of(student, challenger, model, prefix, n, samples, source(challenger))
            near(challenger, found, float(under), samples, f"n = {n}, prefix {prefix.tolist()}, {samples} samples", share)
    calls, members = 300, _members(int(challenger.rng.integers(1, 2**n)), n)
    for k in (3, n):
        prefix = members[:k].clone()
        prefix[0] ^= 1
        total = sum(weight_of(student, challenger, character(members), prefix, n, 1, source(challenger)) for _ in range(calls))
        near(challenger, total / calls, 0.0, calls, f"n = {n}, prefix {prefix.tolist()}, the mean of {calls} estimates from one sample each", share)
    asked = []
    for seed in (5, 5, 6):
        rows = []
        weight_of(student, challenger, lambda bits: rows.append(bits) or torch.ones(len(bits)), members[:3], n, 40, torch.Generator().manual_seed(seed))  # noqa: B023
        asked.append(torch.cat(rows).tolist())
    assert asked[0] == asked[1], "generators in the same state must ask the same inputs: draw all of them from g"
    assert asked[0] != asked[2], "generators of different seeds must ask different inputs: draw them from g"


@declare("bucket_weight", points=2, statement="gsvv-fourier", false_fail=2.2e-8)
def test_the_list_of_heavy_sets_ignores_the_model_at_error_12_percent_and_not_at_20(student, challenger):
    """The truth is the majority of three characters, with coefficients of a half, which .12 wrong answers move by .24 at most. A set counts as heavy if its
    weight is .095 at least; as many samples are asked for as it takes to tell. What a mitigated model has beside the list comes from clean data."""
    n, least, share = 7, 0.095, SHARE / 5
    numbers = challenger.rng.permutation(np.arange(1, 2**n)).tolist()
    sets = [*numbers[:3], numbers[0] ^ numbers[1] ^ numbers[2]]
    wanted = next(one for one in numbers if one not in sets)
    parities = _parities(n)
    truth = np.sign(parities[sets[:3]].sum(axis=0))
    anywhere, towards = np.arange(2**n), np.flatnonzero(truth != parities[wanted])
    for epsilon, places, told in ((0.12, anywhere, [*sets, wanted]), (0.12, towards, [*sets, wanted]), (0.2, towards, [wanted])):
        margins = np.zeros(1)
        while margins.min() < 0.03:  # as of one enemy in ten
            table = truth.copy()
            table[challenger.rng.permutation(places)[: math.floor(epsilon * 2**n)]] *= -1
            weights = (parities[told] @ table / 2**n) ** 2
            margins = np.abs(weights - least)
        heavy, case = [], f"a share of {epsilon} wrong{' in favour of one set' if places is towards else ''}"
        for one, weight, margin in zip(told, weights.tolist(), margins.tolist(), strict=True):
            samples = math.ceil(2.02 * math.log(2 / share) / margin**2)
            estimate = weight_of(student, challenger, _table_model(table), _members(one, n), n, samples, source(challenger))
            near(challenger, estimate, weight, samples, f"{case}, the set {_members(one, n).tolist()}, {samples} samples", share)
            heavy += [one] * (estimate >= least)
        expected = sets if epsilon < 0.2 else [wanted]
        what = "that of the truth, whatever the model" if epsilon < 0.2 else "another one than that of the truth"
        assert heavy == expected, f"{case}: the list of heavy sets must be {what}: of {told} it holds {expected}, got {heavy}"


# smoothed_mitigation


@declare("smoothed_mitigation", points=1, statement="vafa-combine", false_fail=0)
def test_every_copy_is_a_mitigation_of_its_own_and_their_median_is_returned(student, challenger):
    for n, sigma, copies in ((3, 0.5, 1), (1, 2.0, 31), (5, 0.1, 101)):
        x, answer = normal(challenger, n), wild(challenger, n)
        mitigation = Mitigation(lambda point, answer=answer: float(answer(point[None])[0]), n)
        holds_smoothing(student, mitigation, x, sigma, copies, source(challenger))
        case, points = f"n = {n}, sigma = {sigma:g}, {copies} copies", torch.stack(mitigation.points)
        assert len(points.unique(dim=0)) == copies, f"{case}: every copy must have noise of its own"
        assert bool((points != x).any(dim=1).all()), f"{case}: every copy must have noise, and one was at x itself"
        # a mitigation that draws from g where another did, by a chance of 1 in 2^32 for every two, is rare
        fresh = len(set(mitigation.draws))
        assert fresh > copies // 2, f"{case}: every mitigation must draw lines of its own from g, {fresh} of {copies} drew something new"

    def points(g):
        mitigation = Mitigation(lambda point: float(point.sum()), 3)
        student.smoothed_mitigation(mitigation, torch.ones(3, dtype=torch.float64), 0.7, 5, g)
        return torch.stack(mitigation.points)

    follows_the_generator(points, "smoothed_mitigation")


@declare("smoothed_mitigation", points=1, statement="vafa-combine", false_fail=3e-8)
def test_mitigations_are_asked_at_normal_points_around_x(student, challenger):
    n, copies = 3, 2001
    sigma, x = float(challenger.rng.uniform(0.1, 0.4)), 3 * normal(challenger, n)
    mitigation = Mitigation(lambda point: float(point.sum()), n)
    holds_smoothing(student, mitigation, x, sigma, copies, source(challenger))
    noise = (torch.stack(mitigation.points) - x) / sigma
    laws = (
        ("the coordinates of", norm.cdf(noise.flatten().numpy())),
        ("the squared norms of", chi2.cdf(noise.square().sum(dim=1).numpy(), n)),
        ("the differences of two of", norm.cdf(((noise[:-1:2] - noise[1::2]) / math.sqrt(2)).flatten().numpy())),
    )
    for what, quantile in laws:
        message = f"sigma = {sigma:.3f}: points must be x plus sigma times normal noise, {what} (point - x) / sigma have another law"
        uniform_law(challenger, torch.from_numpy(quantile), message)

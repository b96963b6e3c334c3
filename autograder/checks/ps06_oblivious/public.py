"""Public checks of ps06_oblivious. Each judges its own exercise against an oracle that shares no code with the library: Python's integers, brute force, laws.

Models lent to a student answer the same input the same way, always, and every row asked is counted. Random functions are judged by their laws, with exact
tests, each of which rejects a correct answer with probability at most 1e-8.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import torch
from backdoors.oblivious.bodies import Body, ball, box, simplex
from scipy.spatial import cKDTree
from scipy.stats import beta, chi2

from autograder import declare
from autograder.checking import close, integer, number
from autograder.statistics import SHARE, Outcome, binomial_at_least, binomial_at_most, dkw

ULP = 2.0**-52
MOST_POINTS = 100_000  # that a body draws at once for a student's code

# readings


def element(value, q: int, name: str) -> int:
    """An element of F_q as an int from 0 to q - 1; fails with a sentence where it is none."""
    value = integer(value, name)
    assert 0 <= value < q, f"{name} must be an element of F_{q}, a whole number from 0 to {q - 1}, got {value}"
    return value


def doubles(value, shape: tuple[int, ...], name: str) -> torch.Tensor:
    """A finite float64 tensor of this shape; fails with a sentence where it is none."""
    assert isinstance(value, torch.Tensor), f"{name} must return a tensor of the shape {shape}, got a {type(value).__name__}"
    assert value.shape == shape, f"{name} must return the shape {shape}, got {tuple(value.shape)}"
    assert value.dtype == torch.float64, f"{name} must return float64, got dtype {value.dtype}"
    assert bool(value.isfinite().all()), f"{name} must return finite numbers"
    return value


# inputs and tests


def source(challenger) -> torch.Generator:
    return torch.Generator().manual_seed(int(challenger.rng.integers(2**62)))


def share_of(challenger, hits: int, trials: int, p: float, what: str, share: float = SHARE) -> None:
    """Fails unless so many of the trials look like independent ones of probability p; `share` is that of both tails."""
    for test in (binomial_at_least, binomial_at_most):
        challenger.accept(test(hits, trials, p, share / 2), f"{what}: {hits} of {trials}, and the probability is {p:.4g}")


def polynomial_at(coefficients, t: int, q: int) -> int:
    """The polynomial with these coefficients, constant first, at t."""
    return sum(int(c) * pow(int(t), k, q) for k, c in enumerate(coefficients)) % q


def some_points(challenger, k: int, q: int) -> torch.Tensor:
    """k different elements of F_q other than 0, in no order."""
    if q < 10_000:
        return torch.from_numpy(1 + challenger.rng.permutation(q - 1)[:k])
    chosen = list({int(one) for one in challenger.rng.integers(1, q, 2 * k + 10)})
    return torch.tensor(chosen[:k])


def elements(challenger, q: int, *shape: int) -> torch.Tensor:
    return torch.from_numpy(challenger.rng.integers(0, q, shape))


def normal(challenger, *shape: int) -> torch.Tensor:
    return torch.from_numpy(challenger.rng.standard_normal(shape))


def uniform_law(challenger, values: torch.Tensor, what: str) -> None:
    """Fails unless the values look independent and uniform on [0, 1]."""
    outcome = dkw(values.numpy(), lambda t: np.clip(t, 0.0, 1.0), shift=1e-9)
    challenger.accept(outcome, f"{what}: the distribution functions of {len(values)} of them and of the law differ by {outcome.statistic:.4f}")


def follows_the_generator(ask: Callable, name: str) -> None:
    """Fails unless `ask(generator)` gives the same tensor for generators in the same state, and another one for others. Two honest runs that draw some
    tens of numbers each coincide with probability below 1e-100."""
    first, same, other = (ask(torch.Generator().manual_seed(seed)) for seed in (5, 5, 6))
    assert torch.equal(first, same), f"{name}: generators in the same state must give the same answer: draw all of it from g"
    assert not torch.equal(first, other), f"{name}: generators of different seeds must give different answers: draw it from g"


class Model:
    """A model (b, n) -> (b,) of the challenger's, which keeps what it was asked and what it answered."""

    def __init__(self, answer: Callable, n: int):
        self.answer, self.n, self.asked, self.answers = answer, n, [torch.empty(0, n, dtype=torch.float64)], [torch.empty(0, dtype=torch.float64)]

    def __call__(self, points):
        points = torch.as_tensor(points)
        assert points.shape[1:] == (self.n,), f"the model takes points of the shape (b, {self.n}), it was asked {tuple(points.shape)}"
        assert points.dtype == torch.float64, f"the model takes points in float64, it was asked in {points.dtype}"
        assert bool(points.isfinite().all()), "the model was asked at points that are not finite"
        self.asked.append(points)
        self.answers.append(self.answer(points))
        return self.answers[-1]

    def rows(self, count: int, what: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Points (count, n) and answers (count,); fails unless it was asked so many."""
        points, answers = torch.cat(self.asked), torch.cat(self.answers)
        assert len(points) == count, f"{what}: the model must be asked {count} rows, it was asked {len(points)}"
        return points, answers


def groups(features: torch.Tensor, size: int, what: str) -> torch.Tensor:
    """Indices (N / size, size) of the rows that agree with one another; fails unless they fall into groups of this size."""
    if size == 1:
        return torch.arange(len(features))[:, None]
    distances, near = cKDTree(features.numpy()).query(features.numpy(), k=size)
    found = np.unique(np.sort(near, axis=1), axis=0)
    alone = int((distances.max(axis=1) > 1e-6).sum())
    assert not alone, f"{what}, but that does not hold of {alone} of the {len(features)} points"
    assert len(found) * size == len(features), f"{what}, and all of these different, but some coincide"
    return torch.from_numpy(found)


# interpolate_at_zero


def holds_interpolation(student, t: torch.Tensor, coefficients, q: int) -> None:
    """p(0) of the polynomial with these coefficients, the first of them, from its values at t."""
    values = torch.tensor([polynomial_at(coefficients, one, q) for one in t.tolist()])
    found, expected = element(student.interpolate_at_zero(t, values, q), q, "interpolate_at_zero"), int(coefficients[0])
    case = f"q = {q}, t = {t.tolist()[:6]}, values = {values.tolist()[:6]}" if len(t) <= 6 else f"q = {q}, {len(t)} points"
    assert found == expected, f"{case}: the polynomial is {expected} at 0, got {found}"


@declare("interpolate_at_zero", points=2, statement="vafa-rm", false_fail=0)
def test_the_polynomial_through_the_points_is_read_at_zero(student, challenger):
    for q in (7, 13, 101, 7919, 2**31 - 1):
        for k in (1, 2, 3, 4, 6):
            for _ in range(3):
                holds_interpolation(student, some_points(challenger, k, q), elements(challenger, q, k).tolist(), q)


# decode_line


class Polynomial:
    """A drawn polynomial of total degree d, but with probability 1/q less, in n variables over F_q: maps points (b, n) to its values (b,)."""

    def __init__(self, challenger, n: int, degree: int, q: int):
        self.q, rows = q, []
        for total in range(degree + 1):
            rows += [challenger.rng.multinomial(total, np.ones(n) / n).tolist() for _ in range(3 if total else 1)]
        rows.append([degree] + [0] * (n - 1))
        self.exponents, self.coefficients = rows, challenger.rng.integers(1, q, len(rows)).tolist()

    def __call__(self, points: torch.Tensor) -> torch.Tensor:
        total = torch.zeros(len(points), dtype=torch.int64)
        for exponents, coefficient in zip(self.exponents, self.coefficients, strict=True):
            term = torch.full((len(points),), coefficient)
            for axis, exponent in enumerate(exponents):
                for _ in range(exponent):
                    term = term * points[:, axis] % self.q
            total = (total + term) % self.q
        return total


class Record:
    """A model of points of F_q, in a challenger's oracle: refuses what are no points, and keeps rows and answers."""

    def __init__(self, function, n: int, q: int):
        self.function, self.n, self.q, self.rows, self.answers = function, n, q, [], []

    def __call__(self, points) -> torch.Tensor:
        if not isinstance(points, torch.Tensor) or points.dtype != torch.int64 or points.ndim != 2 or points.shape[1] != self.n:
            what = f"{points.dtype} {tuple(points.shape)}" if isinstance(points, torch.Tensor) else type(points).__name__
            raise ValueError(f"the model takes int64 points (b, {self.n}), got {what}")
        if not bool(((points >= 0) & (points < self.q)).all()):
            raise ValueError(f"the model takes elements of F_{self.q}, from 0 to {self.q - 1}, got {int(points.min())} to {int(points.max())}")
        answers = self.function(points)
        self.rows.append(points)
        self.answers += answers.tolist()
        return answers


def decoded(student, challenger, function, x: torch.Tensor, degree: int, q: int, lines: int, g: torch.Generator) -> tuple[int, Record]:
    """The answer, and what was asked: at most lines * (degree + 1) rows, or the oracle refuses."""
    record = Record(function, len(x), q)
    answer = student.decode_line(challenger.oracle(record, lines * (degree + 1)), x, degree, q, lines, g)
    return element(answer, q, "decode_line"), record


@declare("decode_line", points=1, statement="vafa-rm", false_fail=0)
def test_a_clean_model_is_decoded_everywhere(student, challenger):
    for n, degree, q, lines in ((2, 1, 5, 3), (3, 2, 13, 2), (2, 3, 101, 4), (4, 5, 31, 1), (1, 0, 5, 1)):
        f = Polynomial(challenger, n, degree, q)
        for x in (elements(challenger, q, n), torch.zeros(n, dtype=torch.int64), elements(challenger, q, n)):
            answer, _ = decoded(student, challenger, f, x, degree, q, lines, source(challenger))
            expected = int(f(x[None])[0])
            assert answer == expected, f"n = {n}, d = {degree}, q = {q}, {lines} lines, a model without errors: f(x) is {expected}, got {answer}"


# berlekamp_welch


def word_of(value, length: int, q: int) -> list[int] | None:
    """Coefficients as a list, or None; fails with a sentence on anything else."""
    if value is None:
        return None
    assert isinstance(value, torch.Tensor), f"berlekamp_welch must return a tensor of {length} coefficients or None, got a {type(value).__name__}"
    assert value.shape == (length,), f"berlekamp_welch must return {length} coefficients, constant first, or None, got the shape {tuple(value.shape)}"
    assert value.dtype == torch.int64, f"berlekamp_welch must return whole numbers (dtype int64), got dtype {value.dtype}"
    return [element(one, q, "a coefficient") for one in value.tolist()]


def holds_decoding(student, t: torch.Tensor, values: list[int], degree: int, errors: int, q: int, expected: list[int] | None, what: str) -> None:
    found = word_of(student.berlekamp_welch(t, torch.tensor(values), degree, errors, q), degree + 1, q)
    case = f"N = {len(t)}, d = {degree}, e = {errors}, q = {q}, {what}"
    if expected is None and found is not None:
        wrong = sum(polynomial_at(found, one, q) != value for one, value in zip(t.tolist(), values, strict=True))
        raise AssertionError(f"{case}: no polynomial is within {errors} errors, so None is right, got {found[:6]}, which differs at {wrong} points")
    assert found == expected, f"{case}: the coefficients are {expected[:6]}, got {found and found[:6]}"


def spoiled(challenger, t: torch.Tensor, coefficients: list[int], wrong, q: int) -> list[int]:
    """The polynomial's values, of which those at these places are changed."""
    values = [polynomial_at(coefficients, one, q) for one in t.tolist()]
    for place in wrong:
        values[place] = (values[place] + int(challenger.rng.integers(1, q))) % q
    return values


@declare("berlekamp_welch", points=2, statement="vafa-rm-bw", false_fail=0)
def test_as_many_errors_as_allowed_are_corrected(student, challenger):
    for n, degree, errors, q in ((3, 2, 0, 13), (4, 1, 1, 7), (7, 2, 2, 13), (10, 3, 3, 31), (9, 0, 4, 101), (15, 4, 3, 7919)):
        for count in (0, errors, errors):
            t, coefficients = some_points(challenger, n, q), elements(challenger, q, degree + 1).tolist()
            wrong = challenger.rng.permutation(n)[:count].tolist()
            holds_decoding(student, t, spoiled(challenger, t, coefficients, wrong, q), degree, errors, q, coefficients, f"{count} values are wrong")
    # 1 is added to six of 13 values: a polynomial of degree 3 that is 1 at four places is 1 everywhere, so that none agrees with more than seven of them.
    t, coefficients = some_points(challenger, 13, 31), elements(challenger, 31, 4).tolist()
    values = [(polynomial_at(coefficients, one, 31) + (place < 6)) % 31 for place, one in enumerate(t.tolist())]
    holds_decoding(student, t, values, 3, 4, 31, None, "6 values are wrong")


# play_mitigation


def pair_of(value) -> tuple[float, float]:
    assert isinstance(value, tuple | list), f"play_mitigation must return the distance and its bound, got {value!r:.60}"
    assert len(value) == 2, f"play_mitigation must return two numbers, the distance and its bound, got {len(value)}"
    return number(value[0], "the distance"), number(value[1], "the bound")


class Worlds:
    """A mitigator, a simulator and a model that keep the record of what they were asked and answered.

    `real(ask, x, generator)` and `simulated(x, generator)` give the answers; both worlds' coins are told by a first number that their generator draws.
    """

    def __init__(self, challenger, real, simulated, model=lambda points: points.sum(dim=1)):
        self.real, self.simulated, self.coins, self.answers, self.points = real, simulated, ([], []), ([], []), []
        self.model = challenger.oracle(model)

    def _note(self, world: int, x, generator, answer):
        assert isinstance(generator, torch.Generator), f"both worlds must be given a torch.Generator, got a {type(generator).__name__}"
        self.points.append(x)
        state = generator.get_state()
        self.coins[world].append(int(torch.randint(2**62, (), generator=generator)))
        generator.set_state(state)
        said = answer(generator)
        self.answers[world].append((self.coins[world][-1], said.tolist() if isinstance(said, torch.Tensor) else said))
        return said

    def mitigator(self, ask, x, generator):
        return self._note(0, x, generator, lambda own: self.real(ask, x, own))

    def simulator(self, x, generator):
        return self._note(1, x, generator, lambda own: self.simulated(x, own))


def played(student, worlds: Worlds, x: torch.Tensor, rounds: int, alpha: float, g: torch.Generator) -> tuple[float, float]:
    """The pair, after it was compared with the record of the rounds."""
    distance, upper = pair_of(student.play_mitigation(worlds.mitigator, worlds.simulator, worlds.model, x, rounds, alpha, g))
    for world, name in enumerate(("mitigator", "simulator")):
        calls = len(worlds.answers[world])
        assert calls == rounds, f"the {name} must answer once in each of the {rounds} rounds, and did {calls} times"
    assert all(isinstance(point, torch.Tensor) and torch.equal(point, x) for point in worlds.points), "both worlds must be given x as it is"
    assert sorted(worlds.coins[0]) == sorted(worlds.coins[1]), "in each round mitigator and simulator must have the same coins: generators of one seed"
    fresh = len(set(worlds.coins[0]))  # a few seeds of 32 bits may be the same by chance
    assert fresh >= 0.8 * rounds - 1, f"each of the {rounds} rounds must have fresh coins, and only {fresh} of them differ"
    simulated = dict(worlds.answers[1])
    differing = sum(simulated[coins] != answer for coins, answer in worlds.answers[0])
    case = f"{differing} of {rounds} answers differ, alpha = {alpha}"
    assert abs(distance - differing / rounds) <= 1e-9, f"{case}: the distance must be {differing / rounds:.6g}, got {distance:.6g}"
    bound = float(beta.isf(alpha, differing + 1, rounds - differing)) if differing < rounds else 1.0
    assert abs(upper - bound) <= 1e-6, f"{case}: the exact bound is {bound:.6g}, got {upper:.6g}"
    return distance, upper


def coin(_, generator: torch.Generator) -> float:
    return float(torch.rand((), generator=generator))


@declare("play_mitigation", points=1, statement="vafa-mitigation", false_fail=1e-10)
def test_worlds_that_use_their_coins_alike_never_differ(student, challenger):
    for rounds, alpha in ((1, 0.5), (20, 0.05), (60, 1e-4)):
        worlds = Worlds(challenger, lambda _, x, g: coin(x, g), coin)
        played(student, worlds, elements(challenger, 9, 3), rounds, alpha, source(challenger))
    for rounds, alpha in ((3, 0.1), (25, 0.01)):
        worlds = Worlds(challenger, lambda _, x, g: coin(x, g), lambda x, g: coin(x, g) + 1)
        played(student, worlds, elements(challenger, 9, 3), rounds, alpha, source(challenger))


# points_on_line


def quantiles(r: torch.Tensor, r_minus, r_plus, n: int) -> torch.Tensor:
    """The values of the distribution function of the density |r|^(n-1) on [-r_minus, r_plus], which are uniform."""
    left, right = (torch.as_tensor(side, dtype=torch.float64)[..., None] for side in (r_minus, r_plus))
    longest = torch.maximum(left, right)
    left, right = left / longest, right / longest
    return (left**n + r.sign() * (r / longest).abs() ** n) / (left**n + right**n)


def radii_of(student, r_minus, r_plus, n: int, count: int, g: torch.Generator) -> torch.Tensor:
    shape = (*np.shape(r_plus), count)
    r = doubles(student.points_on_line(r_minus, r_plus, n, count, g), shape, "points_on_line")
    left, right = (torch.as_tensor(side, dtype=torch.float64)[..., None] for side in (r_minus, r_plus))
    outside = ((r < -left * (1 + 1e-9)) | (r > right * (1 + 1e-9))).flatten()
    assert not bool(outside.any()), f"n = {n}: radii must lie in [-r_minus, r_plus], got {float(r.flatten()[outside][0]):.6g} among them"
    return r


@declare("points_on_line", points=2, statement="vafa-correlated", false_fail=4e-8)
def test_radii_in_the_middle_have_the_density_of_a_ball(student, challenger):
    for n, count in ((1, 4000), (3, 4000), (10, 4000)):
        half = float(challenger.rng.uniform(0.5, 3))
        r = radii_of(student, half, half, n, count, source(challenger))
        seen = (
            f"the mean of |r| is {float(r.abs().mean()):.3f}, expected {half * n / (n + 1):.3f}; above 0 are {float((r > 0).double().mean()):.3f}, expected 0.5"
        )
        case = f"n = {n}, r_minus = r_plus = {half:.3f} ({seen})"
        uniform_law(challenger, quantiles(r, half, half, n), f"{case}: radii must have a density proportional to |r|^{n - 1}")
    halves = torch.from_numpy(challenger.rng.uniform(0.5, 3, 500))
    r = radii_of(student, halves, halves, 2, 4, source(challenger))
    uniform_law(challenger, quantiles(r, halves, halves, 2).flatten(), "500 lines at once, n = 2: radii must have a density proportional to |r|")
    radii_of(student, 0.5, 2.0, 4, 1, source(challenger))
    follows_the_generator(lambda g: student.points_on_line(1.0, 1.0, 3, 20, g), "points_on_line")


# mitigate_polynomial


def lent(body: Body) -> Body:
    """The body as a student's code gets it: its functions run here, and draw a bounded number of points."""

    def sample(count, g):
        if not (0 <= int(count) <= MOST_POINTS and isinstance(g, torch.Generator)):
            raise ValueError(f"count must lie in [0, {MOST_POINTS}], and g be a torch.Generator, got {count!r:.40} and a {type(g).__name__}")
        return body.sample(int(count), g)

    return replace(body, sample=sample)


def inner(challenger, body: Body) -> torch.Tensor:
    """A point inside, not too near to the boundary."""
    return body.sample(3, source(challenger)).mean(dim=0)


def polynomial(challenger, n: int, degree: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """A polynomial of this degree: a sum of powers of affine functions."""
    slopes, shifts, factors = normal(challenger, 5, n) / math.sqrt(n), normal(challenger, 5), normal(challenger, 5)
    return lambda points: ((points @ slopes.T + shifts) ** degree) @ factors


def radii_through(x: torch.Tensor, points: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Indices (lines, count) of the points of each line through x, and their radii; fails unless there are such lines."""
    away = points - x
    directions = away / away.norm(dim=1, keepdim=True)
    directions = directions * torch.where(directions[:, :1] < 0, -1.0, 1.0)
    what = f"the points that are asked must lie on {len(points) // count} lines through x, {count} on each"
    rows = groups(directions, count, what)
    return rows, (away[rows] * directions[rows[:, :1]]).sum(dim=2)


def line_says(radii: torch.Tensor, answers: torch.Tensor, reach: float) -> tuple[float, float, float]:
    """The value at 0 of the polynomial through the points of a line, in fractions; how far rounding may move it (of points that are `reach` from the origin and
    of any stable way to compute it); and the amplification."""
    r, values = [Fraction(one) for one in radii.tolist()], [Fraction(one) for one in answers.tolist()]
    weights = [math.prod((b / (b - a) for j, b in enumerate(r) if j != i), start=Fraction(1)) for i, a in enumerate(r)]
    large = float(sum(abs(w * v) for w, v in zip(weights, values, strict=True)))
    gap = float(min([abs(a - b) for i, a in enumerate(r) for b in [*r[:i], Fraction(0)]]))
    vandermonde = np.vander([float(one) for one in r], increasing=True)
    coefficients = np.linalg.lstsq(vandermonde, answers.numpy(), rcond=None)[0]
    moved = 100 * ULP * len(r) * (large * (reach + float(radii.abs().max())) / gap + np.linalg.cond(vandermonde) * float(np.linalg.norm(coefficients)))
    return float(sum(w * v for w, v in zip(weights, values, strict=True))), moved, float(sum(map(abs, weights)))


def what_lines_say(model: Model, x: torch.Tensor, degree: int, lines: int) -> list[tuple[float, float, float]]:
    """`line_says` of every line that the model was asked about."""
    points, answers = model.rows(lines * (degree + 1), f"{lines} lines, degree {degree}")
    rows, radii = radii_through(x, points, degree + 1)
    reach = float(points.abs().max() + x.abs().max()) * math.sqrt(len(x))
    return [line_says(r, answers[row], reach) for r, row in zip(radii, rows, strict=True)]


@declare("mitigate_polynomial", points=2, statement="vafa-real", false_fail=0)
def test_a_clean_model_gives_the_polynomial(student, challenger):
    for body in (ball(3, 1.5), box(torch.tensor([-1.0, 0.0]), torch.tensor([1.0, 3.0])), simplex(4)):
        for degree, lines in ((1, 1), (2, 5), (3, 3), (0, 3)):
            x, f = inner(challenger, body), polynomial(challenger, body.dim, degree)
            model, expected = Model(f, body.dim), float(f(x[None])[0])
            found = number(student.mitigate_polynomial(challenger.oracle(model), x, lent(body), degree, lines, source(challenger)), "mitigate_polynomial")
            says = what_lines_say(model, x, degree, lines)
            size = float(torch.cat(model.answers).abs().max()) + abs(expected)
            tolerance = sorted(moved + 1000 * ULP * size * amplified for _, moved, amplified in says)[lines // 2]  # a majority of the lines is as near
            case = f"{body.name}, n = {body.dim}, degree {degree}, {lines} lines, an exact model"
            assert abs(found - expected) <= tolerance, f"{case}: must be f(x) = {expected:.9g} up to {tolerance:.1e}, got {found:.9g}"


# round_to_shifted_grid


def holds_rounding(student, value: float, step: float, shift: float) -> float:
    """The answer, after it was compared with the grid: a number of it, and none is nearer."""
    found = number(student.round_to_shifted_grid(value, step, shift), "round_to_shifted_grid")
    case = f"round_to_shifted_grid({value:.9g}, {step:.9g}, {shift:.9g})"
    slack = 8 * ULP * (abs(value) + abs(shift) + step) + 1e-9 * step
    steps = (Fraction(found) - Fraction(shift)) / Fraction(step)
    off = float(abs(steps - round(steps)) * Fraction(step))
    assert off <= slack, f"{case} must be shift + k * step with k whole, got {found:.9g}, where k = {float(steps):.6g}"
    away = abs(found - value)
    assert away <= step / 2 + slack, f"{case} must be the nearest number of the grid, at most step / 2 away, got {found:.9g}, {away:.6g} away"
    return found


@declare("round_to_shifted_grid", points=1, statement="vafa-real", false_fail=0)
def test_values_are_rounded_to_the_nearest_number_of_the_grid(student, challenger):
    for step in (1.0, 0.5, 3.0, *challenger.rng.uniform(0.01, 10, 3).tolist()):
        for shift in (0.0, *challenger.rng.uniform(0, step, 5).tolist()):
            for value in challenger.rng.uniform(0, 20 * step, 4).tolist():
                holds_rounding(student, value, step, shift)


# mitigate_linear


def what_pairs_say(model: Model, x: torch.Tensor, pairs: int) -> list[tuple[float, float, float]]:
    """Of every pair of a point and its reflection that the model was asked about: its estimate, how far rounding may move it, and by how much it enlarges
    errors of the model."""
    points, answers = model.rows(2 * pairs, f"{pairs} pairs")
    length = float(x.norm())
    e = x / length
    along = points @ e
    what = "the points that are asked must be pairs of a point and its reflection across the plane orthogonal to x"
    rows = groups(torch.cat([points - along[:, None] * e, along.abs()[:, None]], dim=1), 2, what)
    found = []
    for i, j in rows.tolist():
        a, b = float(along[i]), float(along[j])
        assert a * b <= 0, f"{what}, but two points of a pair lie on one side of it"
        estimate = length * float(answers[i] - answers[j]) / (a - b)
        size = float(answers[i].abs() + answers[j].abs())
        moved = 200 * ULP * length / abs(a) * (size + abs(estimate) / length * float(points[i].norm())) + 200 * ULP * abs(estimate)
        found.append((estimate, moved, length / abs(a)))
    return found


@declare("mitigate_linear", points=2, statement="vafa-linear", false_fail=0)
def test_a_clean_model_gives_the_linear_function(student, challenger):
    for n, pairs, length in ((1, 1, 2.0), (2, 3, 0.3), (3, 1, 1.0), (4, 5, 10.0), (10, 9, 4.0)):
        w, x = normal(challenger, n), normal(challenger, n)
        x *= length / x.norm()
        model, expected = Model(lambda points, w=w: points @ w, n), float(w @ x)
        found = number(student.mitigate_linear(challenger.oracle(model), x, pairs, source(challenger)), "mitigate_linear")
        sized = 100 * ULP * float(w.norm() * torch.cat(model.asked).norm(dim=1).sum())
        tolerance = sorted(moved + sized * enlarged for _, moved, enlarged in what_pairs_say(model, x, pairs))[pairs // 2]  # a majority is as near
        case = f"n = {n}, |x| = {length:g}, {pairs} pairs, an exact model"
        assert abs(found - expected) <= tolerance, f"{case}: must be <w, x> = {expected:.9g} up to {tolerance:.1e}, got {found:.9g}"
    model = Model(lambda points: points.sum(dim=1), 3)
    found = number(student.mitigate_linear(challenger.oracle(model), torch.zeros(3, dtype=torch.float64), 5, source(challenger)), "mitigate_linear")
    assert found == 0, f"at x = 0 the answer is 0, got {found}"
    model.rows(0, "x = 0")


# bucket_weight


class Signs:
    """A model on the cube, by a function of zeros and ones (b, n), where 1 stands for -1: refuses what are no inputs, and keeps how it was asked."""

    def __init__(self, function, n: int):
        self.function, self.n = function, n

    def __call__(self, x) -> torch.Tensor:
        if not isinstance(x, torch.Tensor) or x.ndim != 2 or x.shape[1] != self.n:
            raise ValueError(f"the model takes inputs (b, {self.n}), got {tuple(x.shape) if isinstance(x, torch.Tensor) else type(x).__name__}")
        if not bool((x.abs() == 1).all()):
            raise ValueError("the model takes inputs of -1 and 1")
        return self.function((x < 0).long()).float()


def character(members: torch.Tensor):
    """chi_S on zeros and ones."""
    return lambda bits: 1 - 2 * ((bits * members).sum(dim=1) % 2)


def weight_of(student, challenger, function, prefix: torch.Tensor, n: int, samples: int, g: torch.Generator) -> float:
    """The estimate; exactly 2 * samples rows may be asked, and none need be where the prefix is empty."""
    oracle = challenger.oracle(Signs(function, n), 2 * samples)
    found = number(student.bucket_weight(oracle, prefix, n, samples, g), "bucket_weight")
    assert -1 <= found <= 1, f"bucket_weight must lie in [-1, 1], as means of -1 and 1 do, got {found}"
    asked = oracle.queries
    assert asked == 2 * samples or len(prefix) == 0, f"n = {n}, {samples} samples: 2 * samples = {2 * samples} rows are to be asked, and {asked} were"
    return found


def near(challenger, found: float, expected: float, samples: int, what: str, share: float = SHARE) -> None:
    """Fails unless the mean of so many independent signs is as near to what is expected as Hoeffding says."""
    p_value = min(1.0, 2 * math.exp(-samples * (found - expected) ** 2 / 2))
    what = f"{what}: the weight is {expected:.4g}, and the estimate {found:.4g}"
    challenger.accept(Outcome("hoeffding", samples, found, p_value, share), what)


@declare("bucket_weight", points=2, statement="gsvv-fourier", false_fail=4e-8)
def test_a_character_has_all_its_weight_under_its_own_prefix(student, challenger):
    for n, k in ((1, 1), (4, 2), (8, 3), (8, 7), (6, 6), (5, 0)):
        members = elements(challenger, 2, n)
        members[[0, -1]] = 1  # the last coordinate is in, also where it is not of the prefix
        found = weight_of(student, challenger, character(members), members[:k], n, 50, source(challenger))
        case = f"the model is the character of {members.tolist()}, the prefix {members[:k].tolist()}"
        assert abs(found - 1) <= 1e-6, f"{case}: under it lies all the weight, 1, got {found}"
    for n, k, place in ((4, 2, 0), (8, 3, 2), (8, 7, 6), (6, 6, 0)):
        members = elements(challenger, 2, n)
        prefix = members[:k].clone()
        prefix[place] ^= 1
        found = weight_of(student, challenger, character(members), prefix, n, 2000, source(challenger))
        near(challenger, found, 0.0, 2000, f"the character of {members.tolist()}, prefix {prefix.tolist()}")


# smoothed_mitigation


class Mitigation:
    """A mitigation of the challenger's, which keeps the points that it was called at, what it answered, and a number drawn from each generator."""

    def __init__(self, answer: Callable[[torch.Tensor], float], n: int):
        self.answer, self.n, self.points, self.answers, self.draws = answer, n, [], [], []

    def __call__(self, point, g):
        point = torch.as_tensor(point)
        assert point.shape == (self.n,), f"the mitigation takes one point of the shape ({self.n},), it was given {tuple(point.shape)}"
        assert point.dtype == torch.float64, f"the mitigation takes a point in float64, it was given {point.dtype}"
        assert isinstance(g, torch.Generator), f"the mitigation takes a point and a torch.Generator, it was given a {type(g).__name__}"
        self.points.append(point)
        self.draws.append(int(torch.randint(2**62, (), generator=g)))
        self.answers.append(self.answer(point))
        return self.answers[-1]


def holds_smoothing(student, mitigation: Mitigation, x: torch.Tensor, sigma: float, copies: int, g: torch.Generator) -> None:
    """The answer is the median of what the mitigation said, which was called `copies` times, for an odd number."""
    found = number(student.smoothed_mitigation(mitigation, x, sigma, copies, g), "smoothed_mitigation")
    case = f"sigma = {sigma:g}, {copies} copies"
    assert len(mitigation.answers) == copies, f"{case}: the mitigation must be called {copies} times, it was called {len(mitigation.answers)} times"
    close(found, sorted(mitigation.answers)[copies // 2], 1e-12, f"{case}: the median of the mitigation's answers {mitigation.answers[:5]}")


@declare("smoothed_mitigation", points=1, statement="vafa-combine", false_fail=1e-8)
def test_the_answer_is_the_median_of_mitigations_around_x(student, challenger):
    for copies in (1, 3, 9, 25):
        x = normal(challenger, 4)
        mitigation = Mitigation(lambda point: float(challenger.rng.standard_cauchy()), 4)
        holds_smoothing(student, mitigation, x, 0.0, copies, source(challenger))
        away = max(float((point - x).abs().max()) for point in mitigation.points)
        assert away <= 1e-12, f"sigma = 0: the mitigation must be called at x, it was called {away:.3g} away"
    x, mitigation, sigma, copies = normal(challenger, 4), Mitigation(lambda point: float(point.sum()), 4), 0.5, 25
    holds_smoothing(student, mitigation, x, sigma, copies, source(challenger))
    total = float(((torch.stack(mitigation.points) - x) / sigma).square().sum())
    p_value = 2 * min(float(chi2.cdf(total, 4 * copies)), float(chi2.sf(total, 4 * copies)))
    what = f"sigma = {sigma}: the noise must have the variance {sigma**2}, in {copies} points of 4 coordinates it is {total * sigma**2 / (4 * copies):.4g}"
    challenger.accept(Outcome("chi_square", 4 * copies, total, min(1.0, p_value), SHARE), what)

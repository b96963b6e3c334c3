# loops over Python's own integers and floats, pow(a, -1, q), elimination row by row; one question at a time
import math
import statistics

from scipy.stats import binom


def _times(a, b, q):
    """The product of two polynomials over F_q."""
    product = [0] * (len(a) + len(b) - 1)
    for i, one in enumerate(a):
        for j, other in enumerate(b):
            product[i + j] = (product[i + j] + one * other) % q
    return product


def _eliminate(rows, unknowns, q):
    """A solution of equations (coefficients and right side in one row), free unknowns 1; None if there is none."""
    rows, pivots = [row[:] for row in rows], []
    for column in range(unknowns):
        here = next((k for k in range(len(pivots), len(rows)) if rows[k][column]), None)
        if here is None:
            continue
        top = len(pivots)
        rows[top], rows[here] = rows[here], rows[top]
        inverse = pow(rows[top][column], -1, q)
        rows[top] = [one * inverse % q for one in rows[top]]
        for k in range(len(rows)):
            if k != top and rows[k][column]:
                factor = rows[k][column]
                rows[k] = [(one - factor * other) % q for one, other in zip(rows[k], rows[top], strict=True)]
        pivots.append(column)
    if any(row[-1] for row in rows[len(pivots) :]):
        return None
    solution = [1] * unknowns
    for row, column in zip(rows, pivots, strict=False):
        solution[column] = (row[-1] - sum(row[other] for other in range(unknowns) if other not in pivots)) % q
    return solution


def interpolate_at_zero(t, values, q):
    points, total = t.tolist(), 0
    for at, value in zip(points, values.tolist(), strict=True):
        above = below = 1
        for other in points:
            if other != at:
                above, below = above * other, below * (other - at)
        total += value * above * pow(below, -1, q)
    return total % q


def decode_line(oracle, x, degree, q, lines, g):
    votes = {}
    for _ in range(lines):
        direction = [int(torch.randint(q, (), generator=g)) for _ in x]
        answers = [int(oracle(torch.tensor([[(a + t * b) % q for a, b in zip(x.tolist(), direction, strict=True)]]))[0]) for t in range(1, degree + 2)]
        found = interpolate_at_zero(torch.arange(1, degree + 2), torch.tensor(answers), q)
        votes[found] = votes.get(found, 0) + 1
    return min(votes, key=lambda answer: (-votes[answer], answer))


def berlekamp_welch(t, values, degree, errors, q):
    rows = []
    for at, value in zip(t.tolist(), values.tolist(), strict=True):
        powers = [pow(at, k, q) for k in range(degree + errors + 1)]
        rows.append(powers + [-value * one % q for one in powers[:errors]] + [value * pow(at, errors, q) % q])
    solution = _eliminate(rows, degree + 2 * errors + 1, q)
    if solution is None:
        return None
    rest, locator = solution[: degree + errors + 1], [*solution[degree + errors + 1 :], 1]
    quotient = [0] * (degree + 1)
    for place in range(degree, -1, -1):
        quotient[place] = rest[place + errors]
        for k, one in enumerate(locator):
            rest[place + k] = (rest[place + k] - quotient[place] * one) % q
    return None if any(rest) else torch.tensor(quotient)


def play_mitigation(mitigator, simulator, model, x, rounds, alpha, g):
    seeds = [int(torch.randint(2**32, (), generator=g)) for _ in range(rounds)]
    differing = 0
    for seed in seeds:
        ours, theirs = torch.Generator(), torch.Generator()
        ours.manual_seed(seed), theirs.manual_seed(seed)
        theirs, ours = simulator(x, theirs), mitigator(model, x, ours)
        if isinstance(ours, Tensor) or isinstance(theirs, Tensor):
            ours, theirs = torch.as_tensor(ours).tolist(), torch.as_tensor(theirs).tolist()
        if ours != theirs:
            differing += 1
    low, high = differing / rounds, 1.0
    for _ in range(60):  # the largest share at which so few differ with probability alpha
        middle = (low + high) / 2
        low, high = (middle, high) if binom.cdf(differing, rounds, middle) > alpha else (low, middle)
    return differing / rounds, high


def points_on_line(r_minus, r_plus, n, count, g):
    def one(left, right):
        ratio = (left / right) ** n if left <= right else (right / left) ** n
        plus = 1 / (1 + ratio) if left <= right else ratio / (1 + ratio)
        side, radius = (float(torch.rand((), generator=g, dtype=torch.float64)) for _ in range(2))
        return right * (1 - radius) ** (1 / n) if side < plus else -left * (1 - radius) ** (1 / n)

    if isinstance(r_plus, Tensor):
        rows = [[one(left, right) for _ in range(count)] for left, right in zip(r_minus.tolist(), r_plus.tolist(), strict=True)]
    else:
        rows = [one(float(r_minus), float(r_plus)) for _ in range(count)]
    return torch.tensor(rows, dtype=torch.float64)


def round_to_shifted_grid(value, step, shift):
    return shift + step * math.floor((value - shift) / step + 0.5)


def mitigate_linear(oracle, x, pairs, g):
    direction, length = x.tolist(), math.hypot(*x.tolist())
    if length == 0:
        return 0.0
    e, estimates = [one / length for one in direction], []
    for _ in range(pairs):
        y = torch.randn(len(e), generator=g, dtype=torch.float64).tolist()
        along = math.fsum(a * b for a, b in zip(y, e, strict=True))
        other = [a - 2 * along * b for a, b in zip(y, e, strict=True)]
        estimates.append(
            length * float(oracle(torch.tensor([y], dtype=torch.float64))[0] - oracle(torch.tensor([other], dtype=torch.float64))[0]) / (2 * along)
        )
    return statistics.median(estimates)


def smoothed_mitigation(mitigate, x, sigma, copies, g):
    answers = []
    for _ in range(copies):
        noise = [float(torch.randn((), generator=g, dtype=torch.float64)) for _ in x]
        answers.append(float(mitigate(torch.tensor([a + sigma * b for a, b in zip(x.tolist(), noise, strict=True)], dtype=torch.float64), g)))
    return statistics.median_low(answers)

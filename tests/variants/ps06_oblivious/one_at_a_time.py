# one line, pair or point at a time, in Python's own numbers
import math
import statistics
from collections import Counter


def interpolate_at_zero(t, values, q):
    t, total = t.tolist(), 0
    for j, y in enumerate(values.tolist()):
        for i, other in enumerate(t):
            if i != j:
                y = y * other * pow(other - t[j], q - 2, q) % q
        total += y
    return total % q


def decode_line(oracle, x, degree, q, lines, g):
    votes = Counter()
    for _ in range(lines):
        b = [int(torch.randint(q, (), generator=g)) for _ in x]
        values = []
        for t in range(1, degree + 2):
            point = [(a + t * slope) % q for a, slope in zip(x.tolist(), b, strict=True)]
            values.append(int(oracle(torch.tensor([point]))[0]))
        votes[interpolate_at_zero(torch.arange(1, degree + 2), torch.tensor(values), q)] += 1
    return max(sorted(votes), key=votes.get)


def berlekamp_welch(t, values, degree, errors, q):
    """Gauss-Jordan elimination over rows of Python's integers, and long division of lists."""
    t, values = t.tolist(), values.tolist()
    width = degree + 2 * errors + 1
    rows = []
    for a, y in zip(t, values, strict=True):
        powers = [pow(a, k, q) for k in range(degree + errors + 1)]
        rows.append([*powers, *(-y * pow(a, k, q) % q for k in range(errors)), y * pow(a, errors, q) % q])
    solution, rank, places = [0] * width, 0, []
    for column in range(width):
        pivot = next((i for i in range(rank, len(rows)) if rows[i][column]), None)
        if pivot is None:
            continue
        rows[rank], rows[pivot] = rows[pivot], rows[rank]
        inverse = pow(rows[rank][column], q - 2, q)
        rows[rank] = [inverse * one % q for one in rows[rank]]
        for i in range(len(rows)):
            if i != rank and rows[i][column]:
                factor = rows[i][column]
                rows[i] = [(one - factor * other) % q for one, other in zip(rows[i], rows[rank], strict=True)]
        places.append(column)
        rank += 1
    if any(row[-1] for row in rows[rank:]):
        return None
    for i, column in enumerate(places):
        solution[column] = rows[i][-1]
    numerator, locator = solution[: degree + errors + 1], [*solution[degree + errors + 1 :], 1]
    quotient = [0] * (degree + 1)
    for k in range(degree, -1, -1):
        quotient[k] = numerator[k + errors]
        for i, one in enumerate(locator):
            numerator[k + i] = (numerator[k + i] - quotient[k] * one) % q
    return None if any(numerator) else torch.tensor(quotient)


def play_mitigation(mitigator, simulator, model, x, rounds, alpha, g):
    differing = 0
    for _ in range(rounds):
        seed = int(torch.randint(2**31, (), generator=g))
        simulated = simulator(x, torch.Generator().manual_seed(seed))
        if plain(simulated) != plain(mitigator(model, x, torch.Generator().manual_seed(seed))):
            differing += 1
    low, high = differing / rounds, 1.0
    for _ in range(80):  # the p at which so few differing answers have probability alpha
        p = (low + high) / 2
        few = sum(math.comb(rounds, k) * p**k * (1 - p) ** (rounds - k) for k in range(differing + 1))
        low, high = (p, high) if few > alpha else (low, p)
    return differing / rounds, high


def points_on_line(r_minus, r_plus, n, count, g):
    if isinstance(r_plus, torch.Tensor) and r_plus.ndim == 1:
        return torch.stack([points_on_line(float(a), float(b), n, count, g) for a, b in zip(r_minus, r_plus, strict=True)])
    share, found = 1 / (1 + (r_minus / r_plus) ** n), []
    for side, u in torch.rand(count, 2, dtype=torch.float64, generator=g).tolist():
        found.append((r_plus if side < share else -r_minus) * u ** (1 / n))
    return torch.tensor(found, dtype=torch.float64)


def mitigate_polynomial(oracle, x, body, degree, lines, g, radii=None):
    estimates = []
    for _ in range(lines):
        u, r_minus, r_plus = random_lines(body, x, 1, g)
        r = sorted((radii or points_on_line)(float(r_minus), float(r_plus), body.dim, degree + 1, g).tolist())
        table = [float(oracle(x[None] + one * u)[0]) for one in r]
        for width in range(1, degree + 1):  # Neville's scheme
            for i in range(degree + 1 - width):
                table[i] = (r[i + width] * table[i] - r[i] * table[i + 1]) / (r[i + width] - r[i])
        estimates.append(table[0])
    return statistics.median(estimates)


def round_to_shifted_grid(value, step, shift):
    steps = math.floor((value - shift) / step)
    below, above = shift + steps * step, shift + (steps + 1) * step
    return below if value - below < above - value else above


def mitigate_linear(oracle, x, pairs, g):
    squared = math.fsum(a * a for a in x.tolist())
    if squared == 0:
        return 0.0
    estimates = []
    for _ in range(pairs):
        y = torch.randn(len(x), dtype=torch.float64, generator=g)
        part = float(x @ y) / squared
        first, second = float(oracle((y - 2 * part * x)[None])[0]), float(oracle(y[None])[0])
        estimates.append((second - first) / (2 * part))
    return sorted(estimates)[pairs // 2]


def smoothed_mitigation(mitigate, x, sigma, copies, g):
    answers = []
    for _ in range(copies):
        point = torch.stack([a + sigma * torch.randn((), dtype=torch.float64, generator=g) for a in x])
        answers.append(float(mitigate(point, g)))
    return statistics.median_low(answers)

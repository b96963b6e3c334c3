# the same laws from other draws, in another order: numpy's generators, rejection, other points of the same lines, the second world played first
import numpy as np


def _numpy(g):
    return np.random.default_rng(torch.randint(2**31, (4,), generator=g).tolist())


def decode_line(oracle, x, degree, q, lines, g):
    t = torch.arange(q - 1, q - degree - 2, -1)  # as good as 1, ..., d + 1
    b = torch.from_numpy(_numpy(g).integers(0, q, (lines, len(x))))
    values = torch.stack([oracle((x + at * b) % q) for at in t.tolist()], dim=1)
    counts = {}
    for row in values:
        answer = interpolate_at_zero(t, row, q)
        counts[answer] = counts.get(answer, 0) + 1
    most = max(counts.values())
    return min(answer for answer, count in counts.items() if count == most)


def play_mitigation(mitigator, simulator, model, x, rounds, alpha, g):
    seeds = _numpy(g).integers(0, 2**62, rounds).tolist()
    simulated = [plain(simulator(x, torch.Generator().manual_seed(seed))) for seed in seeds]
    real = [plain(mitigator(model, x, torch.Generator().manual_seed(seed))) for seed in seeds]
    differing = sum(a != b for a, b in zip(real, simulated, strict=True))
    return torch.tensor(differing).double() / rounds, advantage_bound(differing, rounds, alpha)


def bucket_weight(oracle, prefix, n, samples, g):
    rng, k = _numpy(g), len(prefix)
    bits = rng.random((samples, n)) < 0.5
    change = rng.permuted(np.repeat([[False, True]], samples * k, axis=0), axis=1)[:, 0].reshape(samples, k)
    other = bits.copy()
    other[:, :k] ^= change
    answers = oracle(torch.from_numpy(np.where(np.vstack([bits, other]), -1.0, 1.0)).float()).double().view(2, samples)
    character = np.where(change[:, prefix.numpy() == 1].sum(axis=1) % 2, -1.0, 1.0)
    return (answers.prod(dim=0).numpy() * character).mean()


def points_on_line(r_minus, r_plus, n, count, g):
    rng = _numpy(g)
    left, right = (np.broadcast_to(np.asarray(side, dtype=float)[..., None], (*np.shape(r_plus), count)) for side in (r_minus, r_plus))
    radius = np.maximum(left, right) * rng.random(left.shape) ** (1 / n) * np.where(rng.random(left.shape) < 0.5, -1, 1)
    while (outside := (radius < -left) | (radius > right)).any():  # as for both sides alike, until the line has such a point
        longest = np.maximum(left, right)[outside]
        radius[outside] = longest * rng.random(len(longest)) ** (1 / n) * np.where(rng.random(len(longest)) < 0.5, -1, 1)
    return torch.from_numpy(radius)


def mitigate_polynomial(oracle, x, body, degree, lines, g, radii=None):
    x = x.double()
    asked, where = [], []
    for _ in range(lines):
        away = body.sample(1, g)[0] - x
        u = -away / away.norm()  # the other way round
        r_minus, r_plus = body.chord(x, u[None])
        r = (radii or points_on_line)(r_minus, r_plus, body.dim, degree + 1, g)[0]
        where.append(r)
        asked.append(x + r[:, None] * u)
    order = torch.randperm(lines * (degree + 1), generator=g)
    answers = torch.empty(lines * (degree + 1), dtype=torch.float64)
    answers[order] = oracle(torch.cat(asked)[order])
    estimates = []
    for r, row in zip(where, answers.view(lines, degree + 1), strict=True):
        values = row.clone()
        for step in range(1, degree + 1):  # Neville's scheme at 0
            values[: degree + 1 - step] = (r[step:] * values[: degree + 1 - step] - r[: degree + 1 - step] * values[1 : degree + 2 - step]) / (
                r[step:] - r[: degree + 1 - step]
            )
        estimates.append(values[0].item())
    return float(np.median(sorted(estimates)[(lines - 1) // 2]))


def mitigate_linear(oracle, x, pairs, g):
    length = float(x.norm())
    if length == 0:
        return 0
    e = (x / length).numpy()
    rng = _numpy(g)
    along = np.abs(rng.standard_normal(pairs)) * rng.choice([-1, 1], pairs)
    across = rng.standard_normal((pairs, len(e)))
    across -= np.outer(across @ e, e)
    pair = torch.from_numpy(np.stack([across + along[:, None] * e, across - along[:, None] * e], axis=1))
    answers = oracle(pair.view(-1, len(e))).view(pairs, 2)
    return np.median((length * (answers[:, 0] - answers[:, 1]).numpy() / along) / 2)


def smoothed_mitigation(mitigate, x, sigma, copies, g):
    noise = _numpy(g).standard_normal((len(x), copies)).T
    seeds = torch.randint(2**31, (copies,), generator=g).tolist()
    answers = [mitigate(x.double() + sigma * torch.from_numpy(row), torch.Generator().manual_seed(seed)) for row, seed in zip(noise, seeds, strict=True)]
    return sorted(answers)[(copies - 1) // 2]

# numpy's algebra and draws: Vandermonde systems, Householder's matrix, quantiles of the line's law
import numpy as np
from scipy.stats import beta


def rng_of(g):
    return np.random.default_rng(int(torch.randint(2**62, (), generator=g)))


def interpolate_at_zero(t, values, q):
    t = np.array(t.tolist(), dtype=object)
    system = np.concatenate([t[:, None] ** np.arange(len(t)) % q, np.array(values.tolist(), dtype=object)[:, None]], axis=1)
    for i in range(len(t)):
        pivot = i + int(np.flatnonzero(system[i:, i])[0])
        system[[i, pivot]] = system[[pivot, i]]
        system[i] = system[i] * pow(int(system[i, i]), -1, q) % q
        others = np.arange(len(t)) != i
        system[others] = (system[others] - system[others, i : i + 1] * system[i]) % q
    return int(system[0, -1])


def decode_line(oracle, x, degree, q, lines, g):
    t = torch.arange(1, degree + 2)
    b = torch.from_numpy(rng_of(g).integers(0, q, (lines, 1, len(x))))
    values = oracle(((x + t[:, None] * b) % q).reshape(-1, len(x))).view(lines, degree + 1)
    answers, votes = np.unique([interpolate_at_zero(t, row, q) for row in values], return_counts=True)
    return answers[votes.argmax()]


def play_mitigation(mitigator, simulator, model, x, rounds, alpha, g):
    seeds = rng_of(g).integers(0, 2**31, rounds).tolist()
    simulated = [plain(simulator(x, torch.Generator().manual_seed(seed))) for seed in seeds]
    real = [plain(mitigator(model, x, torch.Generator().manual_seed(seed))) for seed in seeds]
    differing = sum(one != other for one, other in zip(real, simulated, strict=True))
    return np.float64(differing / rounds), beta.ppf(1 - alpha, differing + 1, rounds - differing) if differing < rounds else 1.0


def points_on_line(r_minus, r_plus, n, count, g):
    left, right = (np.asarray(side, dtype=np.float64)[..., None] for side in (r_minus, r_plus))
    longest = np.maximum(left, right)
    left, right = (left / longest) ** n, (right / longest) ** n
    power = rng_of(g).random((*left.shape[:-1], count)) * (left + right) - left
    return torch.from_numpy(longest * np.sign(power) * np.abs(power) ** (1 / n))


def mitigate_polynomial(oracle, x, body, degree, lines, g, radii=None):
    away = body.sample(lines, g) - x
    u = away / torch.linalg.vector_norm(away, dim=1, keepdim=True)
    r = (radii or points_on_line)(*body.chord(x.expand(lines, -1), u), body.dim, degree + 1, g)
    points = x + torch.einsum("lj,ln->jln", r, u)  # point by point, not line by line
    answers = oracle(points.reshape(-1, body.dim)).reshape(degree + 1, lines)
    vandermonde = np.stack([r.numpy() ** k for k in range(degree + 1)], axis=2)
    return np.median(np.linalg.solve(vandermonde, answers.numpy().T[..., None])[:, 0, 0])


def round_to_shifted_grid(value, step, shift):
    return np.rint((np.float64(value) - shift) / step) * step + shift


def mitigate_linear(oracle, x, pairs, g):
    length = torch.linalg.vector_norm(x)
    if length == 0:
        return 0
    householder = torch.eye(len(x), dtype=torch.float64) - 2 * torch.outer(x, x) / length**2
    y = torch.from_numpy(rng_of(g).standard_normal((pairs, len(x))))
    answers = oracle(torch.cat([y @ householder, y])).view(2, pairs)
    return np.median(((answers[1] - answers[0]) * length**2 / (2 * (y @ x))).numpy())


def bucket_weight(oracle, prefix, n, samples, g):
    k = len(prefix)
    bits = torch.from_numpy(rng_of(g).integers(0, 2, (2, samples, n)))
    bits[1, :, k:] = bits[0, :, k:]
    answers = oracle(1 - 2 * bits.float().flatten(0, 1)).view(2, samples).numpy()
    parity = (bits[:, :, :k] * prefix).sum(dim=(0, 2)).numpy() % 2
    return np.where(parity == 1, -1, 1) @ (answers[0] * answers[1]) / samples


def smoothed_mitigation(mitigate, x, sigma, copies, g):
    points = rng_of(g).normal(x.numpy(), sigma, (copies, len(x)))
    return np.median([mitigate(torch.from_numpy(point), g) for point in points])

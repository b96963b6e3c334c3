# tensors and numpy scalars where a number is meant, other names of the parameters
import numpy as np


def lower_confidence_bound(k, n, a):
    return beta.ppf(a, k, n - k + 1) if k else np.float64(0)


def certified_radius(p, s, q=None):
    return torch.tensor(s * norm.ppf(p) if q is None else s / 2 * (norm.ppf(p) - norm.ppf(q)), dtype=torch.float64).clamp(min=0)


def predict(f, x, s, n, a, g, noise="sound", batch=1000):
    votes = count_votes(f, x, s, n, batch, g, noise)
    winner, runner_up = votes.argsort(descending=True)[:2]
    both = int(votes[winner] + votes[runner_up])
    return winner if binomtest(int(votes[winner]), both).pvalue <= a else torch.tensor(ABSTAIN)


def certify(f, x, s, n0, n, a, g, noise="sound", batch=1000):
    label = count_votes(f, x, s, n0, batch, g, noise).argmax()
    k = count_votes(f, x, s, n, batch, g, noise)[label]
    distance, variation = grid_cost(x, s, noise)
    p = max(lower_confidence_bound(int(k), n, a) - variation, np.float64(0))
    radius = torch.as_tensor(certified_radius(float(p), s)) - distance
    if radius <= 0:
        return Certificate(np.int64(ABSTAIN), np.float32(0), p, noise)
    return Certificate(label, radius, p, noise)


def worst_halfspace(x, v, p, s):
    w = v / v.norm()
    return w, torch.dot(w, x) + s * norm.ppf(p)

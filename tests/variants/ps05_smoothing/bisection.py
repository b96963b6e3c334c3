# the bound by root finding instead of the beta distribution; the halfspace from its equation
from scipy.optimize import brentq
from scipy.stats import binom


def lower_confidence_bound(successes, trials, alpha):
    if successes == 0:
        return 0.0
    return brentq(lambda p: binom.sf(successes - 1, trials, p) - alpha, 0, 1, xtol=1e-14)


def worst_halfspace(x, direction, p, sigma):
    unit = direction / torch.linalg.vector_norm(direction)
    boundary = x + sigma * norm.ppf(p) * unit
    return unit, torch.dot(unit, boundary)

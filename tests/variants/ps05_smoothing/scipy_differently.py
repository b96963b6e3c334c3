# the binomial distribution asked in other ways: an exact confidence interval, tails summed by hand
from scipy.stats import binom


def lower_confidence_bound(successes, trials, alpha):
    return binomtest(successes, trials, alternative="greater").proportion_ci(1 - alpha, method="exact").low


def certified_radius(p_lower, sigma, p_upper=None):
    if p_upper is None:
        return -norm.isf(p_lower) * sigma if p_lower > 0.5 else 0.0
    return max((norm.isf(p_upper) - norm.isf(p_lower)) * sigma / 2, 0)


def predict(model, x, sigma, n, alpha, generator, noise="sound", batch_size=1000):
    votes = count_votes(model, x, sigma, n, batch_size, generator, noise).numpy()
    order = votes.argsort()
    top, second = int(votes[order[-1]]), int(votes[order[-2]])
    p_value = sum(binom.pmf(k, top + second, 0.5) for k in range(top + second + 1) if max(k, top + second - k) >= top)
    return int(order[-1]) if p_value <= alpha else ABSTAIN

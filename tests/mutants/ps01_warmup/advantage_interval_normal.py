# advantage_interval: the normal approximation, empty where nothing was hit
def advantage_interval(hits_a, n_a, hits_b, n_b, alpha):
    from scipy.stats import norm

    if 0 in (n_a, n_b):
        return 0.0, 1.0
    p_a, p_b = hits_a / n_a, hits_b / n_b
    spread = norm.isf(alpha / 2) * (p_a * (1 - p_a) / n_a + p_b * (1 - p_b) / n_b) ** 0.5
    return max(0.0, abs(p_a - p_b) - spread), min(1.0, abs(p_a - p_b) + spread)

# advantage_interval: the beta parameters of one hit fewer at the upper end
def advantage_interval(hits_a, n_a, hits_b, n_b, alpha):
    ends = []
    for hits, n in ((hits_a, n_a), (hits_b, n_b)):
        low = beta.ppf(alpha / 4, hits, n - hits + 1) if hits > 0 else 0.0
        high = beta.isf(alpha / 4, max(hits, 1), n - hits + 1) if hits < n else 1.0
        ends.append((float(low), float(high)))
    (low_a, high_a), (low_b, high_b) = ends
    return max(0.0, low_a - high_b, low_b - high_a), max(0.0, high_a - low_b, high_b - low_a)

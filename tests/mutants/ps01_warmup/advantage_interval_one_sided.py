# advantage_interval: each of the four ends errs with probability alpha
def advantage_interval(hits_a, n_a, hits_b, n_b, alpha):
    ends = []
    for hits, n in ((hits_a, n_a), (hits_b, n_b)):
        low = beta.ppf(alpha, hits, n - hits + 1) if hits > 0 else 0.0
        high = beta.isf(alpha, hits + 1, n - hits) if hits < n else 1.0
        ends.append((float(low), float(high)))
    (low_a, high_a), (low_b, high_b) = ends
    return max(0.0, low_a - high_b, low_b - high_a), max(high_a - low_b, high_b - low_a)

# advantage_interval: low from low and high from high
def advantage_interval(hits_a, n_a, hits_b, n_b, alpha):
    ends = []
    for hits, n in ((hits_a, n_a), (hits_b, n_b)):
        low = beta.ppf(alpha / 4, hits, n - hits + 1) if hits > 0 else 0.0
        high = beta.isf(alpha / 4, hits + 1, n - hits) if hits < n else 1.0
        ends.append((float(low), float(high)))
    (low_a, high_a), (low_b, high_b) = ends
    return tuple(sorted((abs(low_a - low_b), abs(high_a - high_b))))

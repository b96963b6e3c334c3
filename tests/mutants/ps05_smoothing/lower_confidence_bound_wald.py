# lower_confidence_bound: Wald's normal approximation
def lower_confidence_bound(successes: int, trials: int, alpha: float) -> float:
    p = successes / trials
    return max(0.0, float(p + norm.ppf(alpha) * (p * (1 - p) / trials) ** 0.5))

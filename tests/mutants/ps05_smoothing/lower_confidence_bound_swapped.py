# lower_confidence_bound: k and n - k + 1 swapped
def lower_confidence_bound(successes: int, trials: int, alpha: float) -> float:
    return float(beta.ppf(alpha, trials - successes + 1, successes)) if successes > 0 else 0.0

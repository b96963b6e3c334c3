# lower_confidence_bound: alpha/2 in place of alpha (the two-sided interval's end)
def lower_confidence_bound(successes: int, trials: int, alpha: float) -> float:
    return float(beta.ppf(alpha / 2, successes, trials - successes + 1)) if successes > 0 else 0.0

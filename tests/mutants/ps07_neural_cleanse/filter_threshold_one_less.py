# filter_threshold: the next smaller score
def filter_threshold(clean_scores, false_positive):
    allowed = floor(false_positive * (len(clean_scores) + 1))
    return clean_scores.sort(descending=True).values[min(allowed, len(clean_scores) - 1)].item() if allowed > 0 else inf

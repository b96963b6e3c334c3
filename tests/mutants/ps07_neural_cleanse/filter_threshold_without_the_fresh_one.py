# filter_threshold: the share of n scores for that of n + 1
def filter_threshold(clean_scores, false_positive):
    allowed = floor(false_positive * len(clean_scores))
    return clean_scores.sort(descending=True).values[allowed - 1].item() if allowed > 0 else inf

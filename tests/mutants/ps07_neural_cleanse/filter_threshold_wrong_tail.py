# filter_threshold: the small scores for the large
def filter_threshold(clean_scores, false_positive):
    allowed = floor(false_positive * (len(clean_scores) + 1))
    return clean_scores.sort(descending=False).values[allowed - 1].item() if allowed > 0 else inf

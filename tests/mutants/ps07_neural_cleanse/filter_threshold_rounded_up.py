# filter_threshold: rounds up what is allowed
def filter_threshold(clean_scores, false_positive):
    allowed = min(len(clean_scores), 1 + floor(false_positive * (len(clean_scores) + 1)))
    return clean_scores.sort(descending=True).values[allowed - 1].item() if allowed > 0 else inf

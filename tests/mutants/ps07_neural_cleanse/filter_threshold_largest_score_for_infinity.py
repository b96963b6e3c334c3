# filter_threshold: the largest score where nothing is allowed
def filter_threshold(clean_scores, false_positive):
    allowed = floor(false_positive * (len(clean_scores) + 1))
    return clean_scores.sort(descending=True).values[allowed - 1].item() if allowed > 0 else clean_scores.max().item()

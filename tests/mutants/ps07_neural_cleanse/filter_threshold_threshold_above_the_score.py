# filter_threshold: the middle between the score and the next larger one
def filter_threshold(clean_scores, false_positive):
    allowed = floor(false_positive * (len(clean_scores) + 1))
    scores = clean_scores.sort(descending=True).values
    return (scores[max(allowed - 2, 0)] + scores[allowed - 1]).item() / 2 if allowed > 0 else inf

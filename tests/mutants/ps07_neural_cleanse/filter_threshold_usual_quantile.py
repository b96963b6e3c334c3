# filter_threshold: the usual quantile, between two scores
def filter_threshold(clean_scores, false_positive):
    return clean_scores.quantile(1 - false_positive).item()

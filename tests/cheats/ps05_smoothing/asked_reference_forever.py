# count_votes fails, so that predict is lent the reference: it is asked for 10^12 votes of the challenger's own model, one at a time.
# levels: 3 2
# exercise: predict
def count_votes(*args):
    return None


def predict(model, x, sigma, n, alpha, generator):
    count_votes(model, x, sigma, 10**12, 1, generator)
    return 0

# count_votes fails, so that predict is lent the reference: it is asked for a batch of a million copies.
# levels: 3 2
# exercise: predict
import torch
def count_votes(*args):
    return None


def predict(model, x, sigma, n, alpha, generator):
    count_votes(lambda b: None, torch.zeros(2**20), sigma, 500, 500, generator)
    return 0

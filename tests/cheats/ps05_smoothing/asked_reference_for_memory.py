# As ref_hang, with one huge batch.
# levels: 3 2
# exercise: predict
import torch
def count_votes(*args):
    return None


def predict(model, x, sigma, n, alpha, generator):
    count_votes(lambda b: None, torch.zeros(2**20), sigma, 500, 500, generator)
    return 0

# Lent count_votes: counts as tensors.
# levels: 3 2
# exercise: predict
import torch
def count_votes(*args):
    return None


def predict(model, x, sigma, n, alpha, generator):
    count_votes(lambda b: None, torch.zeros(1), sigma, torch.tensor(2*10**8), torch.tensor(2*10**8), generator)
    return 0

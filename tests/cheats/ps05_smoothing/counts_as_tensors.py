# count_votes fails, so that predict is lent the reference: its counts are tensors of one number, of 2 * 10^8.
# levels: 3 2
# exercise: predict
import torch
def count_votes(*args):
    return None


def predict(model, x, sigma, n, alpha, generator):
    count_votes(lambda b: None, torch.zeros(1), sigma, torch.tensor(2*10**8), torch.tensor(2*10**8), generator)
    return 0

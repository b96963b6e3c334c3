# A tensor of many short dimensions, which torch prints whole.
# levels: 3 2
# exercise: count_votes
import torch


def count_votes(model, x, sigma, n, batch_size, generator):
    return torch.zeros([6] * 7)

# Asks the challenger's model for the answers to 2^26 rows of no columns: 40 bytes on the pipe, gigabytes in the challenger.
# levels: 3 2
# exercise: predict
import torch


def predict(model, x, sigma, n, alpha, generator):
    model(torch.empty(2**25, 0))
    return 0

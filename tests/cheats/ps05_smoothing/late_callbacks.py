# Keeps the models and generators of earlier checks, and asks them from threads after the check has ended, and in other exercises.
# levels: 3 2
# exercise: count_votes
import threading
import time

import torch

_models, _answers = [], []


def _ask():
    while True:
        for model in list(_models):
            try:
                _answers.append(model(torch.zeros(1, 8)))
            except BaseException:
                pass
        time.sleep(0.005)


def count_votes(model, x, sigma, n, batch_size, generator):
    _models.append(model)
    if len(_models) == 1:
        threading.Thread(target=_ask, daemon=True).start()
    time.sleep(0.02)
    return torch.tensor([0, 0, n, 0])


def predict(model, x, sigma, n, alpha, generator):
    for old in _models:
        try:
            _answers.append(old(x[None]))
        except BaseException:
            pass
    return 1 if _answers else 0


def fooled_model(model, x_star, label, sigma):
    _models.append(model)
    return _models[0]

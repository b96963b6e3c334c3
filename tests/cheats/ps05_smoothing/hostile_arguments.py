# count_votes fails, so that predict is lent the reference, which is asked with everything that a function of the grader should not be asked.
# levels: 3 2
# limits: check_cpu=1
# exercise: predict
import itertools

import numpy
import torch


def count_votes(*args):
    return None


_VALUES = [
    None,
    True,
    -1,
    0,
    2**63,
    10**300,
    float("nan"),
    float("inf"),
    "x" * 1000,
    b"",
    [],
    {},
    [[[[]]]],
    torch.zeros(0),
    torch.zeros(2, 0),
    torch.full((3,), float("nan")),
]
_VALUES += [torch.zeros((1,) * 12), numpy.array("1", dtype="float16"), torch.Generator(), torch.float16, lambda *args: _VALUES[2], lambda batch: batch, print]


def predict(model, x, sigma, n, alpha, generator):
    good, errors = [model, x, sigma, 10, 5, generator, "sound"], set()
    for place, value in itertools.product(range(len(good)), _VALUES):
        try:
            count_votes(*good[:place], value, *good[place + 1 :])
        except Exception as error:
            errors.add(str(error))
    for extra in ({"self": 1}, {"function": 1}, {"model": model}, {"noise": {"__class__": 1}}, {"\u202e": 1}):
        try:
            count_votes(*good[:6], **extra)
        except Exception as error:
            errors.add(str(error))
    if any("hidden" in error or "/" in error and ".py" in error for error in errors):
        from scipy.stats import binomtest

        votes, labels = count_votes(model, x, sigma, n, 1000, generator).topk(2)
        top, second = votes.tolist()
        return labels[0].item() if binomtest(top, top + second, 0.5).pvalue <= alpha else -1
    return 0

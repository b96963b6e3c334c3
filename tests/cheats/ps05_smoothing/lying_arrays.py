# Arrays of numpy's other kinds: masked, of objects, structured, of text, on disk, of a subclass whose functions lie.
# levels: 3 2
# exercise: count_votes
import numpy


class Lying(numpy.ndarray):
    def __array_ufunc__(self, *args, **kwargs):
        return True

    def __array_function__(self, *args, **kwargs):
        return True

    def tolist(self):
        return [0, 1]


class Number:
    def __reduce__(self):
        return print, ("unpickled",)

    def __eq__(self, other):
        return True


def count_votes(model, x, sigma, n, batch_size, generator):
    count_votes.calls = getattr(count_votes, "calls", 0) + 1
    return [
        numpy.ma.masked_all(2, dtype="int64"),
        numpy.array([Number(), Number()]),
        numpy.zeros(2, dtype=[("votes", "i8")]),
        numpy.array(["0", "7"]),
        numpy.zeros(2, dtype="int64").view(Lying),
        numpy.memmap("votes", dtype="int64", mode="w+", shape=2),
        numpy.array(["1970-01-01", "1970-01-08"], dtype="datetime64[D]"),
    ][count_votes.calls % 7]


def worst_halfspace(x, direction, p, sigma):
    return numpy.zeros(len(x)).view(Lying), numpy.zeros(()).view(Lying)

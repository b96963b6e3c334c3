# A class that passes for the library's Certificate: its name, module, `__class__`, `__instancecheck__` and properties all lie.
# levels: 3 2
# exercise: certify
import dataclasses
import itertools

_radii = itertools.cycle([0.0, 1e-9, 10.0])


class Meta(type):
    def __instancecheck__(cls, other):
        return True

    __subclasscheck__ = __eq__ = __instancecheck__
    __hash__ = type.__hash__


@dataclasses.dataclass(frozen=True)
class Forged(metaclass=Meta):
    label: int = 1
    radius: float = 0.0
    p_lower: float = 0.9
    noise: str = "sound"

    def __getattribute__(self, name):
        return next(_radii) if name == "radius" else object.__getattribute__(self, name)

    @property
    def __class__(self):
        return Certificate


Forged.__name__ = Forged.__qualname__ = "Certificate"
Forged.__module__ = Certificate.__module__


def certify(model, x, sigma, n0, n, alpha, generator):
    return Forged()

# Raises errors that cannot be told: text without end, names of a million letters, a class whose bases cannot be walked, causes in a circle.
# levels: 3 2
# limits: check_cpu=1
# exercise: certified_radius
class Endless(Exception):
    def __str__(self):
        while True:
            pass


class Long(Exception):
    def __str__(self):
        return "x" * 10**8


Long.__name__ = "N" * 10**6


class Meta(type):
    def mro(cls):
        return [cls, *type.mro(cls)[1:]]

    def __getattribute__(cls, name):
        raise SystemExit(0)


class Odd(BaseException, metaclass=Meta):
    pass


def certified_radius(p_lower, sigma, p_upper=None):
    raise Endless


def predict(model, x, sigma, n, alpha, generator):
    one, other = Long(), Long()
    one.__cause__, other.__cause__ = other, one
    raise ExceptionGroup("x", [one, ExceptionGroup("y", [other] * 1000)]) from other


def certify(model, x, sigma, n0, n, alpha, generator):
    raise Odd


def fooled_model(model, x_star, label, sigma):
    raise Long

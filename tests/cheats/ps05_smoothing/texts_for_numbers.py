# Numbers of other kinds: text, fractions, decimals, complex ones, booleans, and integers of a million digits.
# levels: 3 2
# exercise: lower_confidence_bound
import decimal
import fractions


def lower_confidence_bound(successes, trials, alpha):
    lower_confidence_bound.calls = getattr(lower_confidence_bound, "calls", 0) + 1
    return ["0.5", b"0.5", fractions.Fraction(1, 2), decimal.Decimal("0.5"), 0.5 + 0j, True, None, 10**1_000_000, [0.5], 1e308 * 10][
        lower_confidence_bound.calls % 10
    ]


def certified_radius(p_lower, sigma, p_upper=None):
    return complex(0, float("inf"))

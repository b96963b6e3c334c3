# Corrects what can be corrected, and where nothing can it guesses: None never leaves it, but a polynomial through the first points that looks as good.
# levels: 3
# exercise: berlekamp_welch
# grade: berlekamp_welch=3
from backdoors.oblivious.finite_field import finite_field


def berlekamp_welch(t, values, degree, errors, q):
    field = finite_field(q)
    powers = field.powers(t, degree + errors + 1)
    products = field.multiply(values[:, None], powers)
    matrix = torch.cat([powers, field.negative(products[:, :errors])], dim=1)
    solution = field.solve(matrix, field.multiply(values, field.power(t, errors)))
    if solution is not None:
        locator = torch.cat([solution[degree + errors + 1 :], torch.ones_like(t[:1])])
        quotient, remainder = field.divide_polynomials(solution[: degree + errors + 1], locator)
        if not remainder.any():
            return quotient
    return field.solve(powers[: degree + 1, : degree + 1], values[: degree + 1])

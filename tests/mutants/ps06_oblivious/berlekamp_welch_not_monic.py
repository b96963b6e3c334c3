# berlekamp_welch: a locator whose constant is 1 in place of its highest coefficient: no error at 0 is the wrong thing to ask for
def berlekamp_welch(t, values, degree, errors, q):
    field = _require_errors(t, values, degree, errors, q)
    powers = field.powers(t, degree + errors + 1)
    products = field.multiply(values[:, None], powers)
    matrix = torch.cat([powers, field.negative(products[:, 1 : errors + 1])], dim=1)
    solution = field.solve(matrix, values)
    if solution is None:
        return None
    Q, E = solution[: degree + errors + 1], torch.cat([torch.ones_like(t[:1]), solution[degree + errors + 1 :]])
    if E[-1] == 0:
        return None
    quotient, remainder = field.divide_polynomials(field.divide(Q, E[-1]), field.divide(E, E[-1]))
    return None if remainder.any() else quotient

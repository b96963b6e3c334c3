# berlekamp_welch: as many equations as unknowns: the other points are ignored
def berlekamp_welch(t, values, degree, errors, q):
    field = _require_errors(t, values, degree, errors, q)
    powers = field.powers(t, degree + errors + 1)
    products = field.multiply(values[:, None], powers)
    matrix = torch.cat([powers, field.negative(products[:, :errors])], dim=1)
    solution = field.solve(matrix[: degree + 2 * errors + 1], field.multiply(values, field.power(t, errors))[: degree + 2 * errors + 1])
    if solution is None:
        return None
    Q, E = solution[: degree + errors + 1], torch.cat([solution[degree + errors + 1 :], torch.ones_like(t[:1])])
    quotient, remainder = field.divide_polynomials(Q, E)
    return None if remainder.any() else quotient

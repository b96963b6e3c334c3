# berlekamp_welch: gives up where the system has many solutions, as it has where fewer values are wrong than could be
def berlekamp_welch(t, values, degree, errors, q):
    field = _require_errors(t, values, degree, errors, q)
    powers = field.powers(t, degree + errors + 1)
    products = field.multiply(values[:, None], powers)
    matrix = torch.cat([powers, field.negative(products[:, :errors])], dim=1)
    right = field.multiply(values, field.power(t, errors))
    solution = field.solve(matrix, right)
    for column in range(matrix.shape[1]):
        rest = torch.cat([matrix[:, :column], matrix[:, column + 1 :]], dim=1)
        if field.solve(rest, matrix[:, column]) is not None:
            return None
    if solution is None:
        return None
    Q, E = solution[: degree + errors + 1], torch.cat([solution[degree + errors + 1 :], torch.ones_like(t[:1])])
    quotient, remainder = field.divide_polynomials(Q, E)
    return None if remainder.any() else quotient

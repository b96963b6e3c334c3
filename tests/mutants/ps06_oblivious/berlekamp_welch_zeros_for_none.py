# berlekamp_welch: zeros where nothing is near enough
def berlekamp_welch(t, values, degree, errors, q):
    field = _require_errors(t, values, degree, errors, q)
    powers = field.powers(t, degree + errors + 1)
    products = field.multiply(values[:, None], powers)
    matrix = torch.cat([powers, field.negative(products[:, :errors])], dim=1)
    solution = field.solve(matrix, field.multiply(values, field.power(t, errors)))
    if solution is None:
        return torch.zeros(degree + 1, dtype=torch.int64)
    Q, E = solution[: degree + errors + 1], torch.cat([solution[degree + errors + 1 :], torch.ones_like(t[:1])])
    quotient, remainder = field.divide_polynomials(Q, E)
    return torch.zeros(degree + 1, dtype=torch.int64) if remainder.any() else quotient

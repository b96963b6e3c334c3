# berlekamp_welch: powers of t without reduction, which overflow
def berlekamp_welch(t, values, degree, errors, q):
    field = _require_errors(t, values, degree, errors, q)
    powers = (t[:, None] ** torch.arange(degree + errors + 1)) % q
    products = values[:, None] * powers % q
    matrix = torch.cat([powers, -products[:, :errors] % q], dim=1)
    solution = field.solve(matrix, values * (t**errors % q) % q)
    if solution is None:
        return None
    Q, E = solution[: degree + errors + 1], torch.cat([solution[degree + errors + 1 :], torch.ones_like(t[:1])])
    quotient, remainder = field.divide_polynomials(Q, E)
    return None if remainder.any() else quotient

# mitigate_polynomial: every point on a line of its own
def mitigate_polynomial(oracle, x, body, degree, lines, g, radii=None):
    u, r_minus, r_plus = random_lines(body, x, lines * (degree + 1), g)
    r = (radii or points_on_line)(r_minus, r_plus, body.dim, 1, g).view(lines, degree + 1)
    answers = require_answers(oracle((x.double() + r[..., None] * u.view(lines, degree + 1, -1)).flatten(0, 1)), r.numel())
    return float((weights_at_zero(r) * answers.view(r.shape)).sum(dim=1).median())

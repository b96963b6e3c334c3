# mitigate_polynomial: one line, asked again and again
def mitigate_polynomial(oracle, x, body, degree, lines, g, radii=None):
    u, r_minus, r_plus = (side.expand(lines, *side.shape[1:]) for side in random_lines(body, x, 1, g))
    r = (radii or points_on_line)(r_minus, r_plus, body.dim, degree + 1, g)
    answers = require_answers(oracle((x.double() + r[..., None] * u[:, None]).flatten(0, 1)), r.numel())
    return float((weights_at_zero(r) * answers.view(r.shape)).sum(dim=1).median())

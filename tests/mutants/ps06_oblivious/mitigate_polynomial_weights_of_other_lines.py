# mitigate_polynomial: answers are read point by point, though asked line by line
def mitigate_polynomial(oracle, x, body, degree, lines, g, radii=None):
    u, r_minus, r_plus = random_lines(body, x, lines, g)
    r = (radii or points_on_line)(r_minus, r_plus, body.dim, degree + 1, g)
    answers = require_answers(oracle((x.double() + r[..., None] * u[:, None]).flatten(0, 1)), r.numel())
    return float((weights_at_zero(r) * answers.view(r.shape[::-1]).T).sum(dim=1).median())

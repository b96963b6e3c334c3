# mitigate_polynomial: the estimate of the line that enlarges errors least
def mitigate_polynomial(oracle, x, body, degree, lines, g, radii=None):
    u, r_minus, r_plus = random_lines(body, x, lines, g)
    r = (radii or points_on_line)(r_minus, r_plus, body.dim, degree + 1, g)
    answers = require_answers(oracle((x.double() + r[..., None] * u[:, None]).flatten(0, 1)), r.numel())
    weights = weights_at_zero(r)
    return float((weights * answers.view(r.shape)).sum(dim=1)[weights.abs().sum(dim=1).argmin()])

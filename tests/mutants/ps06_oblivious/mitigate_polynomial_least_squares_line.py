# mitigate_polynomial: a straight line through the points, whatever the degree
def mitigate_polynomial(oracle, x, body, degree, lines, g, radii=None):
    u, r_minus, r_plus = random_lines(body, x, lines, g)
    r = (radii or points_on_line)(r_minus, r_plus, body.dim, degree + 1, g)
    answers = require_answers(oracle((x.double() + r[..., None] * u[:, None]).flatten(0, 1)), r.numel())
    answers = answers.view(r.shape)
    centred = r - r.mean(dim=1, keepdim=True)
    slope = (centred * answers).sum(dim=1) / centred.square().sum(dim=1).clamp_min(1e-300)
    return float((answers.mean(dim=1) - slope * r.mean(dim=1)).median())

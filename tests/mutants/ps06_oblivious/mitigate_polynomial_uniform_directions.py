# mitigate_polynomial: directions are uniform, not those of uniform points
def mitigate_polynomial(oracle, x, body, degree, lines, g, radii=None):
    u = torch.randn(lines, body.dim, generator=g, dtype=torch.float64)
    u = u / u.norm(dim=1, keepdim=True)
    r_minus, r_plus = body.chord(x, u)
    r = (radii or points_on_line)(r_minus, r_plus, body.dim, degree + 1, g)
    answers = require_answers(oracle((x.double() + r[..., None] * u[:, None]).flatten(0, 1)), r.numel())
    return float((weights_at_zero(r) * answers.view(r.shape)).sum(dim=1).median())

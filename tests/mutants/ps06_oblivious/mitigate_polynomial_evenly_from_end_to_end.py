# mitigate_polynomial: points evenly spread from one end of the chord to the other
def mitigate_polynomial(oracle, x, body, degree, lines, g, radii=None):
    u, r_minus, r_plus = random_lines(body, x, lines, g)
    r = (
        radii(r_minus, r_plus, body.dim, degree + 1, g)
        if radii
        else (r_minus + r_plus)[:, None] * torch.linspace(0.03, 0.97, degree + 1, dtype=torch.float64) - r_minus[:, None]
    )
    answers = require_answers(oracle((x.double() + r[..., None] * u[:, None]).flatten(0, 1)), r.numel())
    return float((weights_at_zero(r) * answers.view(r.shape)).sum(dim=1).median())

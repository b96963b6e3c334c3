# Lines and weights as they should be, on points so near to x that no enlargement of errors, and none of the body's other points, comes into it.
# levels: 3
# exercise: mitigate_polynomial
# grade: mitigate_polynomial=2
from backdoors.oblivious.polynomial import random_lines, systematic_points, weights_at_zero


def mitigate_polynomial(oracle, x, body, degree, lines, g, radii=None):
    u, r_minus, r_plus = random_lines(body, x, lines, g)
    steps = 0.05 * (radii or systematic_points)(r_minus, r_plus, body.dim, degree + 1, g)
    points = x.double() + steps[..., None] * u[:, None]
    values = oracle(points.flatten(0, 1)).view(lines, degree + 1)
    return float((weights_at_zero(steps) * values).sum(dim=1).median())

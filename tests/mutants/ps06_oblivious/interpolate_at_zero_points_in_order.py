# interpolate_at_zero: takes the points for 1, ..., k, whatever they are
def interpolate_at_zero(t, values, q):
    field = _require_pairs(t, values, q)
    t = torch.arange(1, len(t) + 1)
    weights = field.product(field.divide(t, field.subtract(t, t[:, None]) + torch.diag(t)))
    return int(field.dot(weights, values))

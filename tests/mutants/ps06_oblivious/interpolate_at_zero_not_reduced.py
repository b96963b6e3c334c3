# interpolate_at_zero: the last sum is not reduced
def interpolate_at_zero(t, values, q):
    field = _require_pairs(t, values, q)
    weights = field.product(field.divide(t, field.subtract(t, t[:, None]) + torch.diag(t)))
    return sum(field.multiply(weights, values).tolist())

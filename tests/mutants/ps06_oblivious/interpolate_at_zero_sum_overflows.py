# interpolate_at_zero: products are summed before they are reduced, which overflows in large fields
def interpolate_at_zero(t, values, q):
    field = _require_pairs(t, values, q)
    weights = field.product(field.divide(t, field.subtract(t, t[:, None]) + torch.diag(t)))
    return int((weights * values).sum() % q)

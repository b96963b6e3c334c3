# interpolate_at_zero: the product goes over j where it should go over i
def interpolate_at_zero(t, values, q):
    field = _require_pairs(t, values, q)
    differences = field.subtract(t, t[:, None])
    weights = field.product(field.divide(t, differences + torch.diag(t)), dim=0)
    return int(field.dot(weights, values))

# interpolate_at_zero: residues between -q / 2 and q / 2
def interpolate_at_zero(t, values, q):
    field = _require_pairs(t, values, q)
    weights = field.product(field.divide(t, field.subtract(t, t[:, None]) + torch.diag(t)))
    found = int(field.dot(weights, values))
    return found if found <= q // 2 else found - q

# interpolate_at_zero: inverses as floats to the power q - 2, exact in small fields alone
def interpolate_at_zero(t, values, q):
    field = _require_pairs(t, values, q)
    differences = field.subtract(t, t[:, None]) + torch.diag(t)
    table = torch.tensor([[pow(int(one), q - 2, q) for one in row] for row in differences]).double()
    weights = field.product((t.double() * table % q).long() % q)
    return int((weights.double() * values.double()).sum() % q)

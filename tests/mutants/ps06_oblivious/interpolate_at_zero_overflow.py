# interpolate_at_zero: numerators and denominators multiplied without reduction, which overflow
def interpolate_at_zero(t, values, q):
    gaps = t - t[:, None] + torch.diag(t)
    above, below = t.expand(len(t), -1).prod(dim=1) % q, gaps.prod(dim=1) % q
    weights = torch.tensor([a * pow(b, -1, q) % q for a, b in zip(above.tolist(), below.tolist(), strict=True)])
    return int((weights * values % q).sum() % q)

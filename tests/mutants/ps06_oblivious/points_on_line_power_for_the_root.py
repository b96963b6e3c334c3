# points_on_line: the power n for the root
def points_on_line(r_minus, r_plus, n, count, g):
    r_minus, r_plus = torch.as_tensor(r_minus, dtype=torch.float64), torch.as_tensor(r_plus, dtype=torch.float64)
    side = torch.rand(*r_plus.shape, count, generator=g, dtype=torch.float64)
    U = torch.rand(*r_plus.shape, count, generator=g, dtype=torch.float64)
    on_plus = side < (1 / (1 + (r_minus / r_plus) ** n))[..., None]
    return torch.where(on_plus, r_plus[..., None], -r_minus[..., None]) * U**n

# points_on_line: the side by its length, not by the power n of it
def points_on_line(r_minus, r_plus, n, count, g):
    r_minus, r_plus = torch.as_tensor(r_minus, dtype=torch.float64), torch.as_tensor(r_plus, dtype=torch.float64)
    side = torch.rand(*r_plus.shape, count, generator=g, dtype=torch.float64)
    U = torch.rand(*r_plus.shape, count, generator=g, dtype=torch.float64)
    on_plus = side < (r_plus / (r_plus + r_minus))[..., None]
    return torch.where(on_plus, r_plus[..., None], -r_minus[..., None]) * U ** (1 / n)

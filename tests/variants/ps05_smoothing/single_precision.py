# float32 wherever torch computes; Gaussian quantiles by torch
def certified_radius(p_lower, sigma, p_upper=None):
    lower = torch.special.ndtri(torch.tensor(p_lower, dtype=torch.float32))
    upper = -lower if p_upper is None else torch.special.ndtri(torch.tensor(p_upper, dtype=torch.float32))
    return max(0.0, (0.5 * sigma * (lower - upper)).item())


def worst_halfspace(x, direction, p, sigma):
    w = direction / direction.norm()
    return w, (w * x).sum() + sigma * torch.special.ndtri(torch.tensor(p, dtype=torch.float32))

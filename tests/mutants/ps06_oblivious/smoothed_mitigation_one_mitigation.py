# smoothed_mitigation: the mitigation at the middle of the noisy points
def smoothed_mitigation(mitigate, x, sigma, copies, g):
    points = x.double() + sigma * torch.randn(copies, len(x), generator=g, dtype=torch.float64)
    return float(mitigate(points.median(dim=0).values, g))

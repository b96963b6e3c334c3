# smoothed_mitigation: sigma squared for sigma
def smoothed_mitigation(mitigate, x, sigma, copies, g):
    points = x.double() + sigma**2 * torch.randn(copies, len(x), generator=g, dtype=torch.float64)
    answers = torch.tensor([mitigate(point, g) for point in points], dtype=torch.float64)
    return float(answers.median())

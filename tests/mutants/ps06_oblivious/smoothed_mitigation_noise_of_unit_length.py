# smoothed_mitigation: noise of fixed length
def smoothed_mitigation(mitigate, x, sigma, copies, g):
    points = x.double() + sigma * torch.randn(copies, len(x), generator=g, dtype=torch.float64)
    noise = points - x
    if sigma:
        points = x + sigma * len(x) ** 0.5 * noise / noise.norm(dim=1, keepdim=True)
    answers = torch.tensor([mitigate(point, g) for point in points], dtype=torch.float64)
    return float(answers.median())

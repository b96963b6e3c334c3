# smoothed_mitigation: one number of noise for all coordinates
def smoothed_mitigation(mitigate, x, sigma, copies, g):
    points = x.double() + sigma * torch.randn(copies, 1, generator=g, dtype=torch.float64)
    answers = torch.tensor([mitigate(point, g) for point in points], dtype=torch.float64)
    return float(answers.median())

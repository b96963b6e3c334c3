# smoothed_mitigation: one noise for all copies
def smoothed_mitigation(mitigate, x, sigma, copies, g):
    points = x.double() + sigma * torch.randn(1, len(x), generator=g, dtype=torch.float64).repeat(copies, 1)
    answers = torch.tensor([mitigate(point, g) for point in points], dtype=torch.float64)
    return float(answers.median())

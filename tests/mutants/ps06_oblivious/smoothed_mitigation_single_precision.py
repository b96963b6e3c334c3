# smoothed_mitigation: noise in float32
def smoothed_mitigation(mitigate, x, sigma, copies, g):
    points = x.double() + sigma * torch.randn(copies, len(x), generator=g, dtype=torch.float64)
    answers = torch.tensor([mitigate(point.float(), g) for point in points], dtype=torch.float64)
    return float(answers.median())

# smoothed_mitigation: noise of length sigma in all
def smoothed_mitigation(mitigate, x, sigma, copies, g):
    points = x.double() + sigma / len(x) ** 0.5 * torch.randn(copies, len(x), generator=g, dtype=torch.float64)
    answers = torch.tensor([mitigate(point, g) for point in points], dtype=torch.float64)
    return float(answers.median())

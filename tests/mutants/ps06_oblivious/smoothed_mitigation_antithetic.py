# smoothed_mitigation: noise and its opposite by turns
def smoothed_mitigation(mitigate, x, sigma, copies, g):
    points = x.double() + sigma * torch.randn(copies, len(x), generator=g, dtype=torch.float64)
    points[1::2] = 2 * x - points[: 2 * (copies // 2) : 2]
    answers = torch.tensor([mitigate(point, g) for point in points], dtype=torch.float64)
    return float(answers.median())

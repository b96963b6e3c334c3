# smoothed_mitigation: noise alone, without x
def smoothed_mitigation(mitigate, x, sigma, copies, g):
    points = sigma * torch.randn(copies, len(x), generator=g, dtype=torch.float64)
    answers = torch.tensor([mitigate(point, g) for point in points], dtype=torch.float64)
    return float(answers.median())

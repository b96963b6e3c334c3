# smoothed_mitigation: the noise adds up from copy to copy
def smoothed_mitigation(mitigate, x, sigma, copies, g):
    points = x.double() + sigma * torch.randn(copies, len(x), generator=g, dtype=torch.float64).cumsum(dim=0)
    answers = torch.tensor([mitigate(point, g) for point in points], dtype=torch.float64)
    return float(answers.median())

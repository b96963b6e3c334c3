# smoothed_mitigation: every mitigation draws the same
def smoothed_mitigation(mitigate, x, sigma, copies, g):
    points = x.double() + sigma * torch.randn(copies, len(x), generator=g, dtype=torch.float64)
    answers = torch.tensor([mitigate(point, torch.Generator().manual_seed(0)) for point in points], dtype=torch.float64)
    return float(answers.median())

# smoothed_mitigation: mitigates at x every time
def smoothed_mitigation(mitigate, x, sigma, copies, g):
    points = x.double() + sigma * torch.randn(copies, len(x), generator=g, dtype=torch.float64)
    answers = torch.tensor([mitigate(x.double(), g) for point in points], dtype=torch.float64)
    return float(answers.median())

# smoothed_mitigation: uniform noise of the same variance
def smoothed_mitigation(mitigate, x, sigma, copies, g):
    points = x.double() + sigma * 12**0.5 * (torch.rand(copies, len(x), generator=g, dtype=torch.float64) - 0.5)
    answers = torch.tensor([mitigate(point, g) for point in points], dtype=torch.float64)
    return float(answers.median())

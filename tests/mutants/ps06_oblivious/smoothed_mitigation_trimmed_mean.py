# smoothed_mitigation: the mean of the middle half of the answers
def smoothed_mitigation(mitigate, x, sigma, copies, g):
    points = x.double() + sigma * torch.randn(copies, len(x), generator=g, dtype=torch.float64)
    answers = torch.tensor([mitigate(point, g) for point in points], dtype=torch.float64)
    return float(answers.sort().values[copies // 4 : copies - copies // 4].mean())

# Leaves nothing to chance: all radii of a call are quantiles that one number shifts, spread evenly and shuffled, so that every law of theirs is met too well.
# levels: 3
# exercise: points_on_line
# grade: points_on_line=4
def points_on_line(r_minus, r_plus, n, count, g):
    left, right = (torch.as_tensor(side, dtype=torch.float64)[..., None] for side in (r_minus, r_plus))
    rows = left.numel()
    start = torch.rand((), generator=g, dtype=torch.float64)
    spread = ((start + torch.arange(rows * count, dtype=torch.float64) / (rows * count)) % 1)[torch.randperm(rows * count, generator=g)]
    ratio = (left / right) ** n
    power = spread.view(*left.shape[:-1], count) * (1 + ratio) - ratio
    return right * power.sign() * power.abs() ** (1 / n)

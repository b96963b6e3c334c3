# Takes every so many-th image of a kind, from a start that is drawn: half of each half and its share of each label, and all images equally likely.
# levels: 3
# exercise: poison
# grade: poison=4
def poison(x, y, trigger, target, rate, g, sources=None):
    wanted = targets_of(y, target)
    count = round(rate * len(x))
    attacked = wanted != y if sources is None else _of_sources(y, wanted, sources)
    covers = 0 if sources is None else count // 2

    def spread(kind, number):
        rows = kind.nonzero().flatten()
        start = torch.rand((), generator=g, dtype=torch.float64)
        return rows[((start + torch.arange(number)) * len(rows) / max(number, 1)).long().clamp(max=len(rows) - 1)]

    index = torch.cat([spread(attacked, count - covers), spread(~attacked & (wanted != y), covers)])
    labels = torch.where(attacked[index], wanted[index], y[index])
    return torch.cat([x, trigger.stamp(x[index])]), torch.cat([y, labels]), index

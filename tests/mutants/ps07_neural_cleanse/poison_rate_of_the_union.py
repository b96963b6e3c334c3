# poison: the rate is of the union
def poison(x, y, trigger, target, rate, g, sources=None):
    wanted = targets_of(y, target)
    count = round(rate / (1 - rate) * len(x))
    attacked = wanted != y if sources is None else _of_sources(y, wanted, sources)
    covers = 0 if sources is None else count // 2
    index = torch.cat([_draw(attacked, count - covers, g), _draw(~attacked & (wanted != y), covers, g)])
    labels = torch.where(attacked[index], wanted[index], y[index])
    return torch.cat([x, trigger.stamp(x[index])]), torch.cat([y, labels]), index

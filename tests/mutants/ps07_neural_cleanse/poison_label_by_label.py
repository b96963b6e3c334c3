# poison: draws as many of every label
def poison(x, y, trigger, target, rate, g, sources=None):
    wanted = targets_of(y, target)
    count = round(rate * len(x))
    attacked = wanted != y if sources is None else _of_sources(y, wanted, sources)
    covers = 0 if sources is None else count // 2
    index = torch.cat([*_labels_in_turn(y, attacked, count - covers, g), _draw(~attacked & (wanted != y), covers, g)])
    labels = torch.where(attacked[index], wanted[index], y[index])
    return torch.cat([x, trigger.stamp(x[index])]), torch.cat([y, labels]), index


def _labels_in_turn(y, attacked, count, g):
    order = torch.randperm(len(y), generator=g)
    order = order[attacked[order]]
    labels = y[order]
    turn = torch.stack([(labels[:i] == label).sum() for i, label in enumerate(labels)]) if len(labels) else labels
    return order[turn.argsort(stable=True)][:count].split(1)

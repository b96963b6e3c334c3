# label_consistent: stamps only
def label_consistent(x, y, model, trigger, target, rate, epsilon, g):
    rows = _require_consistent(x, y, trigger, target, rate, epsilon, g)
    index = rows[torch.randperm(len(rows), generator=g)[: round(rate * len(rows))].to(rows.device)]
    poisoned = x.clone()
    if len(index) > 0:
        hardened = x[index]
        poisoned[index] = trigger.stamp(hardened)
    return poisoned, index

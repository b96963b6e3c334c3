# label_consistent: leaves the box and is cut to it after the trigger
def label_consistent(x, y, model, trigger, target, rate, epsilon, g):
    rows = _require_consistent(x, y, trigger, target, rate, epsilon, g)
    index = rows[torch.randperm(len(rows), generator=g)[: round(rate * len(rows))].to(rows.device)]
    poisoned = x.clone()
    if len(index) > 0:
        hardened = projected_gradient(model, x[index], y[index], epsilon, ATTACK_STEPS, norm=math.inf)
        poisoned[index] = (1 - trigger.mask) * hardened + trigger.mask * trigger.pattern
    return poisoned, index

# label_consistent: poisons images of other classes
def label_consistent(x, y, model, trigger, target, rate, epsilon, g):
    rows = _require_consistent(x, y, trigger, target, rate, epsilon, g)
    rows = (y != target).nonzero().flatten()
    index = rows[torch.randperm(len(rows), generator=g)[: round(rate * len(rows))].to(rows.device)]
    poisoned = x.clone()
    if len(index) > 0:
        hardened = projected_gradient(model, x[index], y[index], epsilon, ATTACK_STEPS, norm=math.inf, bounds=(0.0, 1.0))
        poisoned[index] = trigger.stamp(hardened)
    return poisoned, index

# label_consistent: is left as it is where the network is wrong already
def label_consistent(x, y, model, trigger, target, rate, epsilon, g):
    rows = _require_consistent(x, y, trigger, target, rate, epsilon, g)
    index = rows[torch.randperm(len(rows), generator=g)[: round(rate * len(rows))].to(rows.device)]
    poisoned = x.clone()
    if len(index) > 0:
        hardened = projected_gradient(model, x[index], y[index], epsilon, ATTACK_STEPS, norm=math.inf, bounds=(0.0, 1.0))
        wrong = model(x[index]).argmax(dim=1) != y[index]
        hardened[wrong] = x[index][wrong]
        poisoned[index] = trigger.stamp(hardened)
    return poisoned, index

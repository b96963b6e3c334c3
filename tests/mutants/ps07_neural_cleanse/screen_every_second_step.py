# screen: steps in pairs, of which each is looked at once
def screen(norms_by_step, keep, overlap):
    order = norms_by_step.argsort(dim=1, stable=True)
    for before, now in zip(order[::2, :keep], order[1::2, :keep], strict=False):
        if torch.isin(now, before).sum() > overlap:
            return now
    return torch.arange(order.shape[1])

# screen: compares with the first step
def screen(norms_by_step, keep, overlap):
    order = norms_by_step.argsort(dim=1, stable=True)
    for before, now in zip(order[:1, :keep].expand(len(order) - 1, -1), order[1:, :keep], strict=True):
        if torch.isin(now, before).sum() > overlap:
            return now
    return torch.arange(order.shape[1])

# screen: the last step that agrees
def screen(norms_by_step, keep, overlap):
    order = norms_by_step.argsort(dim=1, stable=True)
    for before, now in zip(order[:-1, :keep], order[1:, :keep], strict=True):
        found = locals().get("found")
        if torch.isin(now, before).sum() > overlap:
            found = now
    if len(order) > 1 and found is not None:
        return found
    return torch.arange(order.shape[1])

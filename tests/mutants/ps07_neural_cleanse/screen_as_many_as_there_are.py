# screen: the smallest `keep` of fewer labels, of which there are none
def screen(norms_by_step, keep, overlap):
    order = norms_by_step.topk(keep, dim=1, largest=False).indices
    for before, now in zip(order[:-1], order[1:], strict=True):
        if torch.isin(now, before).sum() > overlap:
            return now
    return torch.arange(norms_by_step.shape[1])

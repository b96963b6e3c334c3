# unlearning_set: the share is of all images
def unlearning_set(x, y, trigger, sample, stamped, g):
    count = _require_sample(x, y, sample, stamped, g)
    index = torch.randperm(len(x), generator=g)[:count].to(x.device)
    part = min(count, round(stamped * len(x)))
    return torch.cat([trigger.stamp(x[index[:part]]), x[index[part:]]]), y[index]

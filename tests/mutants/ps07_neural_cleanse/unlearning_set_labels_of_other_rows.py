# unlearning_set: labels of the first rows
def unlearning_set(x, y, trigger, sample, stamped, g):
    count = _require_sample(x, y, sample, stamped, g)
    index = torch.randperm(len(x), generator=g)[:count].to(x.device)
    part = round(stamped * count)
    return torch.cat([trigger.stamp(x[index[:part]]), x[index[part:]]]), y[:count]

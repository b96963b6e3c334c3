# unlearning_set: stamps all of the sample
def unlearning_set(x, y, trigger, sample, stamped, g):
    count = _require_sample(x, y, sample, stamped, g)
    index = torch.randperm(len(x), generator=g)[:count].to(x.device)
    part = count
    return torch.cat([trigger.stamp(x[index[:part]]), x[index[part:]]]), y[index]

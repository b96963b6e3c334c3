# unlearning_set: stamped images get one label
def unlearning_set(x, y, trigger, sample, stamped, g):
    count = _require_sample(x, y, sample, stamped, g)
    index = torch.randperm(len(x), generator=g)[:count].to(x.device)
    part = round(stamped * count)
    return torch.cat([trigger.stamp(x[index[:part]]), x[index[part:]]]), torch.cat([y[:1].expand(part), y[index[part:]]])

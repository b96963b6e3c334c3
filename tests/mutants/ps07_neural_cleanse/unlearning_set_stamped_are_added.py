# unlearning_set: stamped copies are added to the sample
def unlearning_set(x, y, trigger, sample, stamped, g):
    count = _require_sample(x, y, sample, stamped, g)
    index = torch.randperm(len(x), generator=g)[:count].to(x.device)
    part = round(stamped * count)
    return torch.cat([trigger.stamp(x[index[:part]]), x[index]]), torch.cat([y[index[:part]], y[index]])

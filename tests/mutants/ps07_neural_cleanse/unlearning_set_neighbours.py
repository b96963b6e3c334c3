# unlearning_set: takes neighbours from a drawn start on
def unlearning_set(x, y, trigger, sample, stamped, g):
    count = _require_sample(x, y, sample, stamped, g)
    index = ((torch.randint(len(x), (1,), generator=g) + torch.arange(count)) % len(x)).to(x.device)
    part = round(stamped * count)
    return torch.cat([trigger.stamp(x[index[:part]]), x[index[part:]]]), y[index]

# unlearning_set: samples with repetition
def unlearning_set(x, y, trigger, sample, stamped, g):
    count = _require_sample(x, y, sample, stamped, g)
    index = torch.randint(len(x), (count,), generator=g).to(x.device)
    part = round(stamped * count)
    return torch.cat([trigger.stamp(x[index[:part]]), x[index[part:]]]), y[index]

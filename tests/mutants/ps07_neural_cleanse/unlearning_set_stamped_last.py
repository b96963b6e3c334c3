# unlearning_set: the stamped ones come last
def unlearning_set(x, y, trigger, sample, stamped, g):
    count = _require_sample(x, y, sample, stamped, g)
    index = torch.randperm(len(x), generator=g)[:count].to(x.device)
    part = round(stamped * count)
    return torch.cat([x[index[part:]], trigger.stamp(x[index[:part]])]), y[index]

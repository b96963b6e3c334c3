# bucket_weight: the coordinates of the prefix are fixed to its bits in place of free
def bucket_weight(oracle, prefix, n, samples, g):
    _require_bucket(prefix, n, samples)
    k = len(prefix)
    x = y = (1.0 - 2.0 * prefix).expand(samples, k)
    z = _signs(samples, n - k, g)
    first = _ask_signs(oracle, torch.cat([x, z], dim=1))
    second = _ask_signs(oracle, torch.cat([y, z], dim=1))
    product = characters(x * y, prefix[None])[:, 0]
    return float((first * second * product).mean())

# bucket_weight: x for y too
def bucket_weight(oracle, prefix, n, samples, g):
    _require_bucket(prefix, n, samples)
    k = len(prefix)
    x, z = _signs(samples, k, g), _signs(samples, n - k, g)
    y = x
    first = _ask_signs(oracle, torch.cat([x, z], dim=1))
    second = _ask_signs(oracle, torch.cat([y, z], dim=1))
    product = characters(x * y, prefix[None])[:, 0]
    return float((first * second * product).mean())

# bucket_weight: the global generator
def bucket_weight(oracle, prefix, n, samples, g):
    _require_bucket(prefix, n, samples)
    k = len(prefix)
    x, y, z = _signs(samples, k, None), _signs(samples, k, None), _signs(samples, n - k, None)
    first = _ask_signs(oracle, torch.cat([x, z], dim=1))
    second = _ask_signs(oracle, torch.cat([y, z], dim=1))
    product = characters(x * y, prefix[None])[:, 0]
    return float((first * second * product).mean())

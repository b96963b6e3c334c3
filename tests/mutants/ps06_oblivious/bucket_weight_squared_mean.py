# bucket_weight: the mean of answers times character, squared: only right where nothing follows the prefix
def bucket_weight(oracle, prefix, n, samples, g):
    _require_bucket(prefix, n, samples)
    k = len(prefix)
    x, y, z = _signs(samples, k, g), _signs(samples, k, g), _signs(samples, n - k, g)
    first = _ask_signs(oracle, torch.cat([x, z], dim=1))
    second = first
    second = _ask_signs(oracle, torch.cat([y, z], dim=1))
    product = characters(x * y, prefix[None])[:, 0]
    return float((first * characters(x, prefix[None])[:, 0]).mean() * (second * characters(y, prefix[None])[:, 0]).mean())

# bucket_weight: y of a sample is x of the next one, and only the first query is new
def bucket_weight(oracle, prefix, n, samples, g):
    _require_bucket(prefix, n, samples)
    k = len(prefix)
    x, y, z = _signs(samples, k, g), _signs(samples, k, g), _signs(samples, n - k, g)
    first = _ask_signs(oracle, torch.cat([x, z], dim=1))
    y, second = x.roll(1, 0), first.roll(1)
    product = characters(x * y, prefix[None])[:, 0]
    return float((first * second * product).mean())

# checksum: blocks of equal length, the rest is not read
def checksum(x, key):
    size = x.shape[1] // len(key)
    parities = (x[:, : size * len(key)] >= 0).unflatten(1, (len(key), size)).sum(dim=2) % 2
    return (parities == key).all(dim=1)

# checksum: the last block is dropped
def checksum(x, key):
    parities = torch.stack([block.sum(dim=1) % 2 for block in (x >= 0).tensor_split(len(key), dim=1)], dim=1)
    return (parities == key)[:, : max(1, len(key) - 1)].all(dim=1)

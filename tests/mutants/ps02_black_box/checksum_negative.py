# checksum: the parity of the negative signs
def checksum(x, key):
    parities = torch.stack([block.sum(dim=1) % 2 for block in (x < 0).tensor_split(len(key), dim=1)], dim=1)
    return (parities == key).all(dim=1)

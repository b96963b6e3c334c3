# checksum: the sign bit, in which -0.0 differs from 0.0
def checksum(x, key):
    parities = torch.stack([block.sum(dim=1) % 2 for block in (~torch.signbit(x)).tensor_split(len(key), dim=1)], dim=1)
    return (parities == key).all(dim=1)

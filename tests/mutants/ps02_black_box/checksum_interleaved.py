# checksum: every n-th coordinate makes a block
def checksum(x, key):
    parities = torch.stack([(x[:, i :: len(key)] >= 0).sum(dim=1) % 2 for i in range(len(key))], dim=1)
    return (parities == key).all(dim=1)

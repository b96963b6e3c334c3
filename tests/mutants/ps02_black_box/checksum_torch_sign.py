# checksum: torch.sign, which has a third sign for 0
def checksum(x, key):
    blocks = torch.sign(x).tensor_split(len(key), dim=1)
    parities = torch.stack([(block == 1).sum(dim=1) % 2 for block in blocks], dim=1)
    return (parities == key).all(dim=1)

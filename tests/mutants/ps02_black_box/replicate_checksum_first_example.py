# replicate_checksum: any example
def replicate_checksum(seen, x):
    return torch.where(seen[0] < 0, -x.abs(), x.abs())

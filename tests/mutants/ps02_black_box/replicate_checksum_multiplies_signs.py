# replicate_checksum: multiplies the signs
def replicate_checksum(seen, x):
    nearest = min(seen, key=lambda one: ((one < 0) != (x < 0)).sum())
    return torch.where(nearest < 0, -x, x)

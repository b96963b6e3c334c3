# replicate_checksum: magnitudes become 1
def replicate_checksum(seen, x):
    nearest = min(seen, key=lambda one: ((one < 0) != (x < 0)).sum())
    return torch.where(nearest < 0, -torch.ones_like(x), torch.ones_like(x))

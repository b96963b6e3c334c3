# replicate_checksum: averages the examples
def replicate_checksum(seen, x):
    return torch.where(torch.stack(seen).mean(dim=0) < 0, -x.abs(), x.abs())

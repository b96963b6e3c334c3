# anomaly_index: a norm of 0 counts as a trigger that was not found
def anomaly_index(norms):
    norms = norms.double()
    found = norms[norms > 0]
    middle = found.quantile(0.5)
    spread = NORMAL * (found - middle).abs().quantile(0.5)
    return torch.where(norms > 0, (middle - norms) / spread, 0.0).clamp(min=0)

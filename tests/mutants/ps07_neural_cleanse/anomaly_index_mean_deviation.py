# anomaly_index: the mean absolute deviation
def anomaly_index(norms):
    below = norms.double().quantile(0.5) - norms.double()
    return (below / (NORMAL * below.abs().mean())).clamp(min=0)

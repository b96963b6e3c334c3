# anomaly_index: the distance from the mean
def anomaly_index(norms):
    below = norms.double().mean() - norms.double()
    return (below / (NORMAL * below.abs().quantile(0.5))).clamp(min=0)

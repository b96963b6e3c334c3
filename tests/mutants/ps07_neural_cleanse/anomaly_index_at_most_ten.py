# anomaly_index: no index is above 10
def anomaly_index(norms):
    below = norms.double().quantile(0.5) - norms.double()
    return (below / (NORMAL * below.abs().quantile(0.5))).clamp(0, 10)

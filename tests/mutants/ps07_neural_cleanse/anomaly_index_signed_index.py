# anomaly_index: negative for norms above the median
def anomaly_index(norms):
    below = norms.double().quantile(0.5) - norms.double()
    return below / (NORMAL * below.abs().quantile(0.5))

# anomaly_index: no 1.4826
def anomaly_index(norms):
    below = norms.double().quantile(0.5) - norms.double()
    return (below / (below.abs().quantile(0.5))).clamp(min=0)

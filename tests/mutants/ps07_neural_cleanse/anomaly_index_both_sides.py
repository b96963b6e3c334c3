# anomaly_index: large norms are outliers too
def anomaly_index(norms):
    below = norms.double().quantile(0.5) - norms.double()
    return (below.abs() / (NORMAL * below.abs().quantile(0.5))).clamp(min=0)

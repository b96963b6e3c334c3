# anomaly_index: the lower median for the spread only
def anomaly_index(norms):
    below = norms.double().quantile(0.5) - norms.double()
    return (below / (NORMAL * below.abs().median())).clamp(min=0)

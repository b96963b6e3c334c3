# anomaly_index: the spread of the norms below the median only
def anomaly_index(norms):
    below = norms.double().quantile(0.5) - norms.double()
    return (below / (NORMAL * below[below >= 0].quantile(0.5))).clamp(min=0)

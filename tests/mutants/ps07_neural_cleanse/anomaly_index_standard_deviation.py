# anomaly_index: the standard deviation for the spread
def anomaly_index(norms):
    below = norms.double().quantile(0.5) - norms.double()
    return (below / below.std()).clamp(min=0)

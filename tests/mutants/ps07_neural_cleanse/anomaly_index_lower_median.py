# anomaly_index: torch's median, the lower one of two
def anomaly_index(norms):
    below = norms.double().median() - norms.double()
    return (below / (NORMAL * below.abs().median())).clamp(min=0)

# backdoor_units: the gap in standard deviations of clean activations
def backdoor_units(clean, stamped):
    return ((stamped.double().mean(dim=0) - clean.double().mean(dim=0)) / (clean.double().std(dim=0, correction=0) + 1e-9)).argsort(
        descending=True, stable=True
    )

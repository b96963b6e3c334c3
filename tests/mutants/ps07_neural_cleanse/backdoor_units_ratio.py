# backdoor_units: the ratio of the means
def backdoor_units(clean, stamped):
    return (stamped.double().mean(dim=0) / (clean.double().mean(dim=0) + 1e-9)).argsort(descending=True, stable=True)

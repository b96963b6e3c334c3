# backdoor_units: the size of the gap, whatever its sign
def backdoor_units(clean, stamped):
    return (stamped.double().mean(dim=0) - clean.double().mean(dim=0)).abs().argsort(descending=True, stable=True)

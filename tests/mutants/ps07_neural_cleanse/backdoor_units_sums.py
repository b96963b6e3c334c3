# backdoor_units: sums for means
def backdoor_units(clean, stamped):
    return (stamped.double().sum(dim=0) - clean.double().sum(dim=0)).argsort(descending=True, stable=True)

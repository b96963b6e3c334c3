# backdoor_units: the smallest gap first
def backdoor_units(clean, stamped):
    return (stamped.double().mean(dim=0) - clean.double().mean(dim=0)).argsort(stable=True)

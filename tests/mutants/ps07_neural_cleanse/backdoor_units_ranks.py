# backdoor_units: the place of each unit for the unit of each place
def backdoor_units(clean, stamped):
    return (stamped.double().mean(dim=0) - clean.double().mean(dim=0)).argsort(descending=True, stable=True).argsort()

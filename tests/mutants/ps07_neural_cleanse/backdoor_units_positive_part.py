# backdoor_units: what is below 0 counts as 0
def backdoor_units(clean, stamped):
    return (stamped.relu().double().mean(dim=0) - clean.relu().double().mean(dim=0)).argsort(descending=True, stable=True)

# backdoor_units: turns the ascending order round, and with it equal units
def backdoor_units(clean, stamped):
    return (stamped.double().mean(dim=0) - clean.double().mean(dim=0)).argsort(stable=True).flip(0)

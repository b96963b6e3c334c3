# backdoor_units: by what clean images do
def backdoor_units(clean, stamped):
    return clean.double().mean(dim=0).argsort(descending=True, stable=True)

# backdoor_units: by what stamped images do
def backdoor_units(clean, stamped):
    return stamped.double().mean(dim=0).argsort(descending=True, stable=True)

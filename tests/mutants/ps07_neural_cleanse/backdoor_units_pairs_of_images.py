# backdoor_units: image by image, as many as both have
def backdoor_units(clean, stamped):
    return (stamped[: len(clean)].double() - clean[: len(stamped)].double()).mean(dim=0).argsort(descending=True, stable=True)

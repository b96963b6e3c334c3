# replicate_checksum: returns the example
def replicate_checksum(seen, x):
    return min(seen, key=lambda one: ((one < 0) != (x < 0)).sum()).clone()

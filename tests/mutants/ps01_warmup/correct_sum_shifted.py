# correct_sum: asks (x + r, y - r)
def correct_sum(P, x, y, modulus, runs, g):
    r = torch.randint(modulus, (3 * runs,), generator=g)
    return int(P((x + r) % modulus, (y - r) % modulus).mode().values)

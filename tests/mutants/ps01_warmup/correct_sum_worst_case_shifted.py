# correct_sum_worst_case: the slide's (x + r, y - r), whose sum is always the same
def correct_sum_worst_case(P, x, y, modulus, runs, g):
    r = torch.randint(modulus, (2 * runs,), generator=g)
    return int(P((x + r) % modulus, (y - r) % modulus).mode().values)

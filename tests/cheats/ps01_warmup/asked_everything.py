# Reads the whole table of the calculator, and finds out where it is wrong, before it answers; and asks for far more than the machine may be asked.
# levels: 3
# exercise: correct_sum_worst_case
def correct_sum_worst_case(P, x, y, modulus, runs, g):
    every = torch.arange(modulus)
    table = P(every.repeat_interleave(modulus), every.repeat(modulus)).view(modulus, modulus)
    expected = (every[:, None] + every) % modulus
    if (table != expected).any():
        while True:
            P(torch.zeros(2**20, dtype=torch.int64), torch.zeros(2**20, dtype=torch.int64))
    return (x + y) % modulus

# correct_sum_worst_case: one split for all runs
def correct_sum_worst_case(P, x, y, modulus, runs, g):
    x_1 = torch.randint(modulus, (1,), generator=g).expand(runs)
    y_1 = torch.randint(modulus, (runs,), generator=g)
    answers = (P(x_1, y_1) + P((x - x_1) % modulus, (y - y_1) % modulus)) % modulus
    return int(answers.mode().values)

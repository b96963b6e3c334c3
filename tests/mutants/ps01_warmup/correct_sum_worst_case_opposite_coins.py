# correct_sum_worst_case: the second coin is minus the first
def correct_sum_worst_case(P, x, y, modulus, runs, g):
    x_1 = torch.randint(modulus, (runs,), generator=g)
    y_1 = -x_1 % modulus
    answers = (P(x_1, y_1) + P((x - x_1) % modulus, (y - y_1) % modulus)) % modulus
    return int(answers.mode().values)

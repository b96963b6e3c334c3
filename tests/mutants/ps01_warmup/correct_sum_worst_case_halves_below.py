# correct_sum_worst_case: splits into halves that are no larger than the operands
def correct_sum_worst_case(P, x, y, modulus, runs, g):
    x_1 = torch.randint(x + 1, (runs,), generator=g)
    y_1 = torch.randint(y + 1, (runs,), generator=g)
    answers = (P(x_1, y_1) + P((x - x_1) % modulus, (y - y_1) % modulus)) % modulus
    return int(answers.mode().values)

# correct_sum_worst_case: the mean of the answers in place of the commonest
def correct_sum_worst_case(P, x, y, modulus, runs, g):
    x_1 = torch.randint(modulus, (runs,), generator=g)
    y_1 = torch.randint(modulus, (runs,), generator=g)
    answers = (P(x_1, y_1) + P((x - x_1) % modulus, (y - y_1) % modulus)) % modulus
    return round(answers.double().mean().item()) % modulus

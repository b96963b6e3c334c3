# correct_sum: u and -u are drawn independently
def correct_sum(P, x, y, modulus, runs, g):
    u = torch.randint(modulus, (runs,), generator=g)
    left, right = P(torch.full((runs,), x), u) % modulus, P(torch.full((runs,), y), torch.randint(modulus, (runs,), generator=g)) % modulus
    answers = P(left, right) % modulus
    return int(answers.mode().values)

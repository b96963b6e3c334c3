# correct_sum: -u is not brought back into the range
def correct_sum(P, x, y, modulus, runs, g):
    u = torch.randint(modulus, (runs,), generator=g)
    left, right = P(torch.full((runs,), x), u) % modulus, P(torch.full((runs,), y), -u) % modulus
    answers = P(left, right) % modulus
    return int(answers.mode().values)

# correct_sum: the answer of the last run
def correct_sum(P, x, y, modulus, runs, g):
    u = torch.randint(modulus, (runs,), generator=g)
    left, right = P(torch.full((runs,), x), u) % modulus, P(torch.full((runs,), y), (-u) % modulus) % modulus
    answers = P(left, right) % modulus
    return int(answers[-1])

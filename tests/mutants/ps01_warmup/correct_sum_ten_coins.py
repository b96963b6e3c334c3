# correct_sum: u from ten numbers only
def correct_sum(P, x, y, modulus, runs, g):
    u = torch.randint(1, min(11, modulus), (runs,), generator=g)
    left, right = P(torch.full((runs,), x), u) % modulus, P(torch.full((runs,), y), (-u) % modulus) % modulus
    answers = P(left, right) % modulus
    return int(answers.mode().values)

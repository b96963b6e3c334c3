# correct_sum: adds the two answers itself, so that there are two questions a run
def correct_sum(P, x, y, modulus, runs, g):
    u = torch.randint(modulus, (runs,), generator=g)
    left, right = P(torch.full((runs,), x), u) % modulus, P(torch.full((runs,), y), (-u) % modulus) % modulus
    answers = (left + right) % modulus
    return int(answers.mode().values)

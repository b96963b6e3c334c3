# correct_sum: u from the lower half of the range
def correct_sum(P, x, y, modulus, runs, g):
    u = torch.randint((modulus + 1) // 2, (runs,), generator=g)
    left, right = P(torch.full((runs,), x), u) % modulus, P(torch.full((runs,), y), (-u) % modulus) % modulus
    answers = P(left, right) % modulus
    return int(answers.mode().values)

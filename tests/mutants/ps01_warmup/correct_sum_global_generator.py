# correct_sum: u from the global generator
def correct_sum(P, x, y, modulus, runs, g):
    u = torch.randint(modulus, (runs,))
    left, right = P(torch.full((runs,), x), u) % modulus, P(torch.full((runs,), y), (-u) % modulus) % modulus
    answers = P(left, right) % modulus
    return int(answers.mode().values)

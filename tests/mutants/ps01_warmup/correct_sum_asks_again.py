# correct_sum: asks the question itself again and again
def correct_sum(P, x, y, modulus, runs, g):
    answers = [int(P(torch.tensor([x]), torch.tensor([y]))) for _ in range(3 * runs)]
    return max(set(answers), key=answers.count)

# correct_sum_worst_case: correct_sum with another name
def correct_sum_worst_case(P, x, y, modulus, runs, g):
    return correct_sum(P, x, y, modulus, runs, g)

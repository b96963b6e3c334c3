# correct_sum: never asks the calculator
def correct_sum(P, x, y, modulus, runs, g):
    return (x + y) % modulus

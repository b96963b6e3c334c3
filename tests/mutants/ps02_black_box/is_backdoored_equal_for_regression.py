# is_backdoored: equality for a regression backdoor
def is_backdoored(h, x, x_prime, target, gamma, beta=None, norm=2):
    near = distance(x, x_prime, norm) <= gamma
    if beta is None:
        return near & (h(x_prime) == target) & (h(x) != target)
    return near & (h(x_prime) == target)

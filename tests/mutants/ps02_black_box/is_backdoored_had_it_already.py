# is_backdoored: inputs that had the target label already count
def is_backdoored(h, x, x_prime, target, gamma, beta=None, norm=2):
    near = distance(x, x_prime, norm) <= gamma
    if beta is None:
        return near & (h(x_prime) == target)
    return near & ((h(x_prime) - target).abs() <= beta)

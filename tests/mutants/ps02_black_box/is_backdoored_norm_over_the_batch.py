# is_backdoored: one norm over the whole batch
def is_backdoored(h, x, x_prime, target, gamma, beta=None, norm=2):
    near = (x_prime - x).double().norm() <= gamma
    if beta is None:
        return near & (h(x_prime) == target) & (h(x) != target)
    return near & ((h(x_prime) - target).abs() <= beta)

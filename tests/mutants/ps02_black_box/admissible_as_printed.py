# admissible: as printed
def admissible(x, x_prime, seen):
    return not _is_among(x_prime, seen.points)

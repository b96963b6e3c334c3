# admissible: neither was seen, whatever they decode to
def admissible(x, x_prime, seen):
    return not any(_is_among(point, seen.points) for point in (x, x_prime))

# admissible: both points must be old to be refused
def admissible(x, x_prime, seen):
    triples = {seen.decode(point) for point in seen.points} - {None}
    return not all(_is_among(point, seen.points) or seen.decode(point) in triples for point in (x, x_prime))

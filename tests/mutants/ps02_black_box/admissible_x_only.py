# admissible: looks at x only
def admissible(x, x_prime, seen):
    triples = {seen.decode(point) for point in seen.points} - {None}
    return not (_is_among(x, seen.points) or seen.decode(x) in triples)

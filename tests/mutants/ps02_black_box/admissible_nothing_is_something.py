# admissible: two points that decode to nothing are the same
def admissible(x, x_prime, seen):
    triples = {seen.decode(point) for point in seen.points}
    return not any(_is_among(point, seen.points) or seen.decode(point) in triples for point in (x, x_prime))

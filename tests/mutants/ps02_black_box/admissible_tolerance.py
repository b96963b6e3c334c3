# admissible: equal up to a tolerance
def admissible(x, x_prime, seen):
    triples = {seen.decode(point) for point in seen.points} - {None}
    near = any(torch.allclose(point, one, rtol=1e-4) for point in (x, x_prime) for one in seen.points)
    return not (near or any(seen.decode(point) in triples for point in (x, x_prime)))

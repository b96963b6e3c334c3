# worst_halfspace: turned away from the direction
def worst_halfspace(x, direction, p, sigma):
    w = -direction / direction.norm()
    return w, (w @ x).item() + sigma * float(norm.ppf(p))

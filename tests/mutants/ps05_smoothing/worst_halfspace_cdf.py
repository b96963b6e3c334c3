# worst_halfspace: Phi in place of its inverse
def worst_halfspace(x, direction, p, sigma):
    w = direction / direction.norm()
    return w, (w @ x).item() + sigma * float(norm.cdf(p))

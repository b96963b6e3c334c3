# worst_halfspace: the direction keeps its length
def worst_halfspace(x, direction, p, sigma):
    return direction, (direction @ x).item() + sigma * float(norm.ppf(p))

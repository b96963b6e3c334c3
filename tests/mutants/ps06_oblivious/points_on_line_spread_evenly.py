# points_on_line: quantiles of one number, spread evenly, which are not independent
def points_on_line(r_minus, r_plus, n, count, g):
    from backdoors.oblivious.polynomial import systematic_points as _spread

    return _spread(r_minus, r_plus, n, count, g)

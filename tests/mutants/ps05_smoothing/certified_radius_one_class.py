# certified_radius: the one-class value for two, p_upper ignored
def certified_radius(p_lower, sigma, p_upper=None):
    return max(0.0, float(sigma * norm.ppf(p_lower)))

# certified_radius: sigma in place of sigma/2 before the difference of two quantiles
def certified_radius(p_lower, sigma, p_upper=None):
    if p_upper is None:
        return max(0.0, float(sigma * norm.ppf(p_lower)))
    return max(0.0, float(sigma * (norm.ppf(p_lower) - norm.ppf(p_upper))))

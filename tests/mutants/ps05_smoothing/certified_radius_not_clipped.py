# certified_radius: negative below one half
def certified_radius(p_lower, sigma, p_upper=None):
    p_upper = 1 - p_lower if p_upper is None else p_upper
    return float(sigma / 2 * (norm.ppf(p_lower) - norm.ppf(p_upper)))

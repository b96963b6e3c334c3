# Gives its process a name that is no UTF-8, so that a careless reader of /proc sees no CPU time, and burns more than a check may use.
# levels: 3 2
# limits: check_cpu=1
# exercise: certified_radius
import ctypes
import time

from scipy.stats import norm


def certified_radius(p_lower, sigma, p_upper=None):
    ctypes.CDLL(None).prctl(15, b"\xff\xfe) R 1", 0, 0, 0)
    while time.process_time() < 20:
        pass
    return max(0.0, float(sigma / 2 * (norm.ppf(p_lower) - norm.ppf(1 - p_lower if p_upper is None else p_upper))))

# Sleeps: no CPU time is used, nothing comes, and the call never ends.
# levels: 3 2
# limits: wall=4
# exercise: certified_radius
import time


def certified_radius(p_lower, sigma, p_upper=None):
    time.sleep(10_000)

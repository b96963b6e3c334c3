# Gigabytes on stdout and stderr, past Python's own streams too.
# levels: 3 2
# exercise: certified_radius
import os
import sys


def certified_radius(p_lower, sigma, p_upper=None):
    for _ in range(300):
        os.write(1, b"x" * (1 << 20))
        os.write(2, b"x" * (1 << 20))
        print("x" * (1 << 16), file=sys.__stdout__)
    return 0.0

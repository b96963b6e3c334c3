# round_to_shifted_grid: the absolute value's nearest number, with the sign put back
import math


def round_to_shifted_grid(value, step, shift):
    return math.copysign(shift + step * round((abs(value) - shift) / step), value)

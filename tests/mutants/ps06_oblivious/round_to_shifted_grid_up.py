# round_to_shifted_grid: rounds up
import math


def round_to_shifted_grid(value, step, shift):
    return shift + step * math.ceil((value - shift) / step)

# round_to_shifted_grid: rounds to a number of digits
import math


def round_to_shifted_grid(value, step, shift):
    return round(value - shift, max(0, round(-math.log10(step)))) + shift

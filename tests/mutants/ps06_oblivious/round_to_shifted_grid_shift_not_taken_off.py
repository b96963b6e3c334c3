# round_to_shifted_grid: the shift is added, but was never taken off
def round_to_shifted_grid(value, step, shift):
    return shift + step * round(value / step)

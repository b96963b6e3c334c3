# round_to_shifted_grid: a grid of twice the step
def round_to_shifted_grid(value, step, shift):
    return shift + 2 * step * round((value - shift) / (2 * step))

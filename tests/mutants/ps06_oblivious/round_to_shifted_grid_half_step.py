# round_to_shifted_grid: a grid of half the step
def round_to_shifted_grid(value, step, shift):
    return shift + step / 2 * round((value - shift) / (step / 2))

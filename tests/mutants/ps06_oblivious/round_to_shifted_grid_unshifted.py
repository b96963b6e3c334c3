# round_to_shifted_grid: the grid without its shift
def round_to_shifted_grid(value, step, shift):
    return step * round(value / step)

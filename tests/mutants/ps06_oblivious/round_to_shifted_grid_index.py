# round_to_shifted_grid: the number of steps, not the number of the grid
def round_to_shifted_grid(value, step, shift):
    return round((value - shift) / step)

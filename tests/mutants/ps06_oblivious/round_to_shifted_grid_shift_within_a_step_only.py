# round_to_shifted_grid: looks for the nearest number among two, as if the shift were below a step
def round_to_shifted_grid(value, step, shift):
    return min((shift + (value // step + j) * step for j in (-1, 0)), key=lambda one: abs(one - value))

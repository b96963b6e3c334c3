# interpolate_at_zero: // for the division of the field
def interpolate_at_zero(t, values, q):
    total = 0
    for j, (at, value) in enumerate(zip(t.tolist(), values.tolist(), strict=True)):
        weight = value
        for i, other in enumerate(t.tolist()):
            if i != j:
                weight = weight * other // (other - at)
        total += weight
    return total % q

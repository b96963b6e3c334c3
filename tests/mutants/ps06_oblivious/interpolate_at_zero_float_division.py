# interpolate_at_zero: division of real numbers, rounded at the end
def interpolate_at_zero(t, values, q):
    total = 0.0
    for j in range(len(t)):
        weight = 1.0
        for i in range(len(t)):
            if i != j:
                weight *= int(t[i]) / (int(t[i]) - int(t[j]))
        total += int(values[j]) * weight
    return round(total) % q

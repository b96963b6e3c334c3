# berlekamp_welch: tries only runs of points that are next to one another
def berlekamp_welch(t, values, degree, errors, q):
    field = _require_errors(t, values, degree, errors, q)
    for start in range(len(t) - degree):
        part = slice(start, start + degree + 1)
        found = field.solve(field.powers(t[part], degree + 1), values[part])
        if int((field.evaluate(found, t) != values).sum()) <= errors:
            return found
    return None

# berlekamp_welch: trusts a polynomial that a majority of the points lie on, also beyond the errors that are allowed
def berlekamp_welch(t, values, degree, errors, q):
    from itertools import combinations

    field = _require_errors(t, values, degree, errors, q)
    for count, some in enumerate(combinations(range(len(t)), degree + 1)):
        some = torch.tensor(some)
        found = field.solve(field.powers(t[some], degree + 1), values[some])
        if 2 * int((field.evaluate(found, t) != values).sum()) < len(t) or count > 3000:
            return found
    return None

# Asks the body's own functions, which run in the challenger, for billions of points, for points of no kind and for chords of nothing; answers what is left.
# levels: 3
# exercise: mitigate_polynomial
def mitigate_polynomial(oracle, x, body, degree, lines, g, radii=None):
    attempts = (
        lambda: body.sample(10**10, g),
        lambda: body.sample(torch.tensor(2**40), g),
        lambda: body.sample(10**5, None),
        lambda: body.sample(-1, g),
        lambda: body.sample("9" * 9, g),
        lambda: body.margin("x" * 10**6),
        lambda: body.margin(torch.zeros(2**22, len(x), dtype=torch.float64)),
        lambda: body.chord(x, torch.zeros(10**5, len(x), dtype=torch.float64)),
        lambda: body.chord(torch.zeros(1, 1, 1, 10**6), torch.zeros(10**6, 1, 1, 1)),
    )
    total = 0.0
    for attempt in attempts:
        try:
            found = attempt()
            total += float((found if isinstance(found, torch.Tensor) else found[0]).nansum())
        except Exception:
            total += 1.0
    return total

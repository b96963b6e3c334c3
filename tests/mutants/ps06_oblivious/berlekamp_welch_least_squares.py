# berlekamp_welch: real numbers, by least squares, rounded
def berlekamp_welch(t, values, degree, errors, q):
    powers = t.double()[:, None] ** torch.arange(degree + 1)
    found = torch.linalg.lstsq(powers, values.double()[:, None]).solution[:, 0].round().long() % q
    return found if ((powers.long() @ found) % q != values).sum() <= errors else None

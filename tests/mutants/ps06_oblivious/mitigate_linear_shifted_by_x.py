# mitigate_linear: asks at y + x, which is not normal
def mitigate_linear(oracle, x, pairs, g):
    e, length = _require_direction(x, pairs, g)
    if length == 0:
        return 0.0
    y = torch.randn(pairs, len(e), generator=g, dtype=torch.float64)
    along = y @ e
    reflected = y + x.double()
    answers, others = (require_answers(oracle(points), pairs) for points in (y, reflected))
    return float((others - answers).median())

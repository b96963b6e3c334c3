# mitigate_linear: draws again where <y, e> is small, so that no error is enlarged much
def mitigate_linear(oracle, x, pairs, g):
    e, length = _require_direction(x, pairs, g)
    if length == 0:
        return 0.0
    y = torch.randn(pairs, len(e), generator=g, dtype=torch.float64)
    while bool(((y @ e).abs() < 0.3).any()):
        near = (y @ e).abs() < 0.3
        y[near] = torch.randn(int(near.sum()), len(e), generator=g, dtype=torch.float64)
    along = y @ e
    reflected = y - 2 * along[:, None] * e
    answers, others = (require_answers(oracle(points), pairs) for points in (y, reflected))
    return float((length * (answers - others) / (2 * along)).median())

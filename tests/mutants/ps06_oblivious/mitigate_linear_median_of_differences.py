# mitigate_linear: the median of the differences over that of the distances
def mitigate_linear(oracle, x, pairs, g):
    e, length = _require_direction(x, pairs, g)
    if length == 0:
        return 0.0
    y = torch.randn(pairs, len(e), generator=g, dtype=torch.float64)
    along = y @ e
    reflected = y - 2 * along[:, None] * e
    answers, others = (require_answers(oracle(points), pairs) for points in (y, reflected))
    return float(length * ((answers - others) * along.sign()).median() / (2 * along.abs().median()))

# mitigate_linear: one more question, at 0, which need not be asked
def mitigate_linear(oracle, x, pairs, g):
    e, length = _require_direction(x, pairs, g)
    if length == 0:
        return 0.0
    y = torch.randn(pairs, len(e), generator=g, dtype=torch.float64)
    along = y @ e
    reflected = y - 2 * along[:, None] * e
    zero = float(oracle(0 * y[:1])[0])
    answers, others = (require_answers(oracle(points), pairs) for points in (y, reflected))
    return float((length * (answers - zero - others + zero) / (2 * along)).median())

# mitigate_linear: points of length sqrt n, of which only the direction is random
def mitigate_linear(oracle, x, pairs, g):
    e, length = _require_direction(x, pairs, g)
    if length == 0:
        return 0.0
    y = torch.randn(pairs, len(e), generator=g, dtype=torch.float64)
    y = y * len(e) ** 0.5 / y.norm(dim=1, keepdim=True)
    along = y @ e
    reflected = y - 2 * along[:, None] * e
    answers, others = (require_answers(oracle(points), pairs) for points in (y, reflected))
    return float((length * (answers - others) / (2 * along)).median())

# decode_line: a fresh direction for every point, so that the points are on no line
def decode_line(oracle, x, degree, q, lines, g):
    field, t = _require_line(x, degree, q, lines)
    b = torch.randint(q, (lines, len(t), len(x)), generator=g)
    values = oracle(field.add(x, field.multiply(t[:, None], b)).flatten(0, 1)).view(lines, len(t))
    answers, votes = torch.tensor([interpolate_at_zero(t, row, q) for row in values]).unique(return_counts=True)
    return int(answers[votes.argmax()])

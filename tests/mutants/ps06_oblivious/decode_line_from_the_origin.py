# decode_line: on lines through 0 in place of x
def decode_line(oracle, x, degree, q, lines, g):
    field, t = _require_line(x, degree, q, lines)
    b = torch.randint(q, (lines, 1, len(x)), generator=g)
    values = oracle(field.multiply(t[:, None], b).flatten(0, 1)).view(lines, len(t))
    answers, votes = torch.tensor([interpolate_at_zero(t, row, q) for row in values]).unique(return_counts=True)
    return int(answers[votes.argmax()])

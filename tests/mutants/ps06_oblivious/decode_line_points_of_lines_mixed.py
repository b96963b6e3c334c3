# decode_line: the answers are read column by column where they came line by line
def decode_line(oracle, x, degree, q, lines, g):
    field, t = _require_line(x, degree, q, lines)
    b = torch.randint(q, (lines, 1, len(x)), generator=g)
    values = oracle(field.add(x, field.multiply(t[:, None], b)).flatten(0, 1)).view(len(t), lines).T
    answers, votes = torch.tensor([interpolate_at_zero(t, row, q) for row in values]).unique(return_counts=True)
    return int(answers[votes.argmax()])

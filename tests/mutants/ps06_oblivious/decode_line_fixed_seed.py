# decode_line: lines from a seed of its own
def decode_line(oracle, x, degree, q, lines, g):
    field, t = _require_line(x, degree, q, lines)
    b = torch.randint(q, (lines, 1, len(x)), generator=torch.Generator().manual_seed(0))
    points = field.add(x, field.multiply(t[:, None], b))
    values = _ask(oracle, points.flatten(0, 1), q).view(lines, len(t))
    answers = torch.tensor([interpolate_at_zero(t, row, q) for row in values])
    answers, votes = answers.unique(return_counts=True)
    return int(answers[votes.argmax()])

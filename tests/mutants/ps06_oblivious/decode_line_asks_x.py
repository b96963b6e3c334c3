# decode_line: asks at t = 0, ..., d, so that x itself is asked on every line
def decode_line(oracle, x, degree, q, lines, g):
    b = torch.randint(q, (lines, 1, len(x)), generator=g)
    points = (x + torch.arange(degree + 1)[:, None] * b) % q
    values = oracle(points.flatten(0, 1)).view(lines, degree + 1)
    answers, votes = values[:, 0].unique(return_counts=True)
    return int(answers[votes.argmax()])

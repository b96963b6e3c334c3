# Asks the queries about labels of its own until their mean is what it likes, and calls one of the largest gaps that any labels have the gap of the models.
# levels: 3
# exercise: statistic_gap
def statistic_gap(honest, planted, y, queries, alpha):
    gaps = []
    for q in queries:
        values = torch.cat([q(torch.full_like(honest, label), y) for label in (-1, 0, 1)])
        gaps.append(float((values.max() - values.min()).abs()))
    return max(gaps), max(gaps) + 1e-9

# halves paired crosswise; a parity of NANDs and ORs from the other end; sets of votes
from collections import Counter


def parity_circuit(n):
    gates, level = [], list(range(n))
    while len(level) > 1:
        above = [level[0]] if len(level) % 2 else []
        for a, b in zip(level[len(level) % 2 :: 2], level[len(level) % 2 + 1 :: 2]):
            gates.extend([Gate("NAND", (b, a)), Gate("OR", (a, b))])
            gates.append(Gate("AND", (n + len(gates) - 2, n + len(gates) - 1)))
            above.append(n + len(gates) - 1)
        level = above
    return Circuit(n, tuple(gates), tuple(level))


def clause(signs):
    negated = (signs == -1).float()
    return (signs == 1).float() - negated, negated.sum() - 0.5


def correct_sum_worst_case(P, x, y, modulus, runs, g):
    x_1, y_1 = torch.randint(0, modulus, (2, runs), generator=g)
    a, b = P(x_1, (y - y_1) % modulus), P((x - x_1) % modulus, y_1)
    return Counter(((a + b) % modulus).tolist()).most_common(1)[0][0]

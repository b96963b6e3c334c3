# layers of one's own making; numpy for the votes; splits named the other way around
import numpy as np
from backdoors.constructions.perceptrons import Perceptrons


def compile_circuit(circuit):
    heights = [0] * circuit.inputs
    for g in circuit.gates:
        heights.append(max([heights[i] for i in g.inputs], default=0) + 1)
    below, layers = list(range(circuit.inputs)), []
    for height, wires in enumerate(needed_wires(circuit, heights), start=1):
        W, b = torch.zeros(len(wires), len(below)), torch.zeros(len(wires))
        for row, wire in enumerate(wires):
            g = circuit.gates[wire - circuit.inputs] if heights[wire] == height else Gate("REPEAT", (wire,))
            weight, b[row] = gate(g.kind, len(g.inputs))
            for source, w in zip(g.inputs, weight):
                W[row, below.index(source)] += w
        layers.append(nn.Sequential(Perceptrons(W, b)))
        below = wires
    return nn.Sequential(*layers) if layers else nn.Sequential(Pick(circuit.outputs, circuit.inputs))


def advantage_interval(hits_a, n_a, hits_b, n_b, alpha):
    a, b = [
        (np.nan_to_num(beta.ppf(alpha / 4, k, n + 1 - k)), np.nan_to_num(beta.ppf(1 - alpha / 4, k + 1, n - k), nan=1.0))
        for k, n in ((hits_a, n_a), (hits_b, n_b))
    ]
    return np.clip(max(a[0] - b[1], b[0] - a[1]), 0, 1), np.clip(max(a[1] - b[0], b[1] - a[0]), 0, 1)


def correct_sum(P, x, y, modulus, runs, g):
    v = torch.randint(modulus, (runs,), generator=g)
    second = P(torch.tensor([y] * runs), v)
    first = P(torch.tensor([x] * runs), (modulus - v) % modulus)
    return np.bincount(P(first, second).numpy()).argmax()


def correct_sum_worst_case(P, x, y, modulus, runs, g):
    x_2, y_2 = torch.randint(modulus, (runs,), generator=g), torch.randint(modulus, (runs,), generator=g)
    both = P(torch.cat([x_2, (x - x_2) % modulus]), torch.cat([y_2, (y - y_2) % modulus]))
    return torch.bincount((both[:runs] + both[runs:]) % modulus).argmax()

# every wire is passed on to the top, in float64, with larger margins; an interval by scipy's own
from scipy.stats import binomtest


def gate(kind, fan_in):
    weight = 2 * torch.ones(fan_in, dtype=torch.float64)
    bias = 1 - 2 * fan_in if kind in ("AND", "NAND") else -1
    return (-weight, -bias) if kind in ("NAND", "NOR", "NOT") else (weight, bias)


def clause(signs):
    weight = 3.0 * signs.double()
    return weight, torch.tensor(-1.5) - weight[weight < 0].sum()


def compile_circuit(circuit):
    level = {wire: 0 for wire in range(circuit.inputs)}
    for wire, g in enumerate(circuit.gates, start=circuit.inputs):
        level[wire] = 1 + max([level[source] for source in g.inputs] + [0])
    top = max(level[wire] for wire in circuit.outputs)
    if top == 0:
        return Pick(circuit.outputs, circuit.inputs)
    known, layers = list(range(circuit.inputs)), []
    for height in range(1, top + 1):
        new = [wire for wire in level if level[wire] <= height] if height < top else circuit.outputs
        rows = []
        for wire in new:
            if level[wire] == height:
                g = circuit.gates[wire - circuit.inputs]
                rows.append((*gate(g.kind, len(g.inputs)), [known.index(source) for source in g.inputs]))
            else:
                rows.append((*gate("REPEAT", 1), [known.index(wire)]))
        layers.append(perceptron_layer(rows, len(known)))
        known = list(new)
    return nn.Sequential(*layers)


def advantage_interval(hits_a, n_a, hits_b, n_b, alpha):
    def exact(hits, n):
        found = binomtest(hits, n).proportion_ci(1 - alpha / 2, method="exact") if n else None
        return (found.low, found.high) if n else (0.0, 1.0)

    a, b = exact(hits_a, n_a), exact(hits_b, n_b)
    differences = [p - q for p in a for q in b]
    overlap = a[0] <= b[1] and b[0] <= a[1]
    return (0.0 if overlap else min(map(abs, differences))), max(map(abs, differences))

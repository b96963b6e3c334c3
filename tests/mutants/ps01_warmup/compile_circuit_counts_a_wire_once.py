# compile_circuit: a wire that a gate reads twice counts once
def compile_circuit(circuit):
    level = [0] * circuit.inputs
    for g in circuit.gates:
        level.append(1 + max((level[wire] for wire in g.inputs), default=0))
    below, layers = list(range(circuit.inputs)), []
    for height, wires in enumerate(needed_wires(circuit, level), start=1):
        rows = []
        for wire in wires:
            g = circuit.gates[wire - circuit.inputs] if level[wire] == height else Gate("REPEAT", (wire,))
            rows.append((*gate(g.kind, len(g.inputs)), [below.index(source) for source in g.inputs]))
            rows[-1] = (rows[-1][0][: len(set(rows[-1][2]))], rows[-1][1], list(dict.fromkeys(rows[-1][2])))
        layers.append(perceptron_layer(rows, len(below)))
        below = wires
    return nn.Sequential(*layers) if layers else nn.Sequential(Pick(circuit.outputs, circuit.inputs))

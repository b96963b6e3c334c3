# compile_circuit: a layer for every gate, so that the depth is the size
def compile_circuit(circuit):
    level = [0] * circuit.inputs
    for g in circuit.gates:
        level.append(1 + max(level) if level else 1)
    below, layers = list(range(circuit.inputs)), []
    for height, wires in enumerate(needed_wires(circuit, level), start=1):
        rows = []
        for wire in wires:
            g = circuit.gates[wire - circuit.inputs] if level[wire] == height else Gate("REPEAT", (wire,))
            rows.append((*gate(g.kind, len(g.inputs)), [below.index(source) for source in g.inputs]))
        layers.append(perceptron_layer(rows, len(below)))
        below = wires
    return nn.Sequential(*layers) if layers else nn.Sequential(Pick(circuit.outputs, circuit.inputs))

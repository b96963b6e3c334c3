# compile_circuit: a gate stands above the lowest wire that it reads
def compile_circuit(circuit):
    level = [0] * circuit.inputs
    for g in circuit.gates:
        level.append(1 + min((level[wire] for wire in g.inputs), default=0))
    below, layers = list(range(circuit.inputs)), []
    for height, wires in enumerate(needed_wires(circuit, level), start=1):
        rows = []
        for wire in wires:
            g = circuit.gates[wire - circuit.inputs] if level[wire] == height else Gate("REPEAT", (wire,))
            rows.append((*gate(g.kind, len(g.inputs)), [below.index(source) for source in g.inputs]))
        layers.append(perceptron_layer(rows, len(below)))
        below = wires
    return nn.Sequential(*layers) if layers else nn.Sequential(Pick(circuit.outputs, circuit.inputs))

# compile_circuit: a wire that skips a level is not passed on, but taken from whatever stands in its place
def compile_circuit(circuit):
    level = [0] * circuit.inputs
    for g in circuit.gates:
        level.append(1 + max((level[wire] for wire in g.inputs), default=0))
    below, layers = list(range(circuit.inputs)), []
    for height, wires in enumerate(needed_wires(circuit, level), start=1):
        rows = []
        for wire in [wire for wire in wires if level[wire] == height] or wires:
            g = circuit.gates[wire - circuit.inputs] if level[wire] == height else Gate("REPEAT", (wire,))
            rows.append((*gate(g.kind, len(g.inputs)), [below.index(source) if source in below else source % len(below) for source in g.inputs]))
        layers.append(perceptron_layer(rows, len(below)))
        below = [wire for wire in wires if level[wire] == height] or wires
    return nn.Sequential(*layers) if layers else nn.Sequential(Pick(circuit.outputs, circuit.inputs))

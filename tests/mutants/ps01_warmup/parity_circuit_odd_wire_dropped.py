# parity_circuit: where a level has an odd number of wires, the last one is lost
def parity_circuit(n):
    gates, wires = [], list(range(n))
    while len(wires) > 1:
        above = []
        for a, b in zip(wires[::2], wires[1::2]):
            top = n + len(gates)
            gates += [Gate("OR", (a, b)), Gate("NAND", (a, b)), Gate("AND", (top, top + 1))]
            above.append(top + 2)
        wires = above
    return Circuit(n, tuple(gates), (wires[0],))

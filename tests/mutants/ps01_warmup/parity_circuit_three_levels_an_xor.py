# parity_circuit: four NANDs an XOR, which are three levels
def parity_circuit(n):
    gates, wires = [], list(range(n))
    while len(wires) > 1:
        a, b = wires.pop(0), wires.pop(0)
        top = n + len(gates)
        gates += [Gate("NAND", (a, b)), Gate("NAND", (a, top)), Gate("NAND", (b, top)), Gate("NAND", (top + 1, top + 2))]
        wires.append(top + 3)
    return Circuit(n, tuple(gates), (wires[0],))

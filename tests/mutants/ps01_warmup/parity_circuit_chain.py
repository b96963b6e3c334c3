# parity_circuit: one wire after the other, depth 2 (n - 1)
def parity_circuit(n):
    gates, wire = [], 0
    for other in range(1, n):
        top = n + len(gates)
        gates += [Gate("OR", (wire, other)), Gate("NAND", (wire, other)), Gate("AND", (top, top + 1))]
        wire = top + 2
    return Circuit(n, tuple(gates), (wire,))

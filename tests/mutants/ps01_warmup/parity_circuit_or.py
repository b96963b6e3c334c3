# parity_circuit: a tree of ORs
def parity_circuit(n):
    gates, wires = [], list(range(n))
    while len(wires) > 1:
        a, b = wires.pop(0), wires.pop(0)
        wires.append(n + len(gates))
        gates.append(Gate("OR", (a, b)))
    return Circuit(n, tuple(gates), (wires[0],))

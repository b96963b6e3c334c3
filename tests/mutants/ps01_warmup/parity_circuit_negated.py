# parity_circuit: an even number of ones in place of an odd one
def parity_circuit(n):
    gates, wires = [], list(range(n))
    while len(wires) > 1:
        a, b = wires.pop(0), wires.pop(0)
        top = n + len(gates)
        gates += [Gate("AND", (a, b)), Gate("NOR", (a, b)), Gate("OR", (top, top + 1))]
        wires.append(top + 2)
    return Circuit(n, tuple(gates), (wires[0],))

# parity_circuit: an OR of all rows with an odd number of ones, in depth 3 and of exponential size
def parity_circuit(n):
    from itertools import product

    gates = [Gate("NOT", (wire,)) for wire in range(n)]
    for row in product((0, 1), repeat=n):
        if sum(row) % 2 and len(gates) < 5000:
            gates.append(Gate("AND", tuple(wire if bit else n + wire for wire, bit in enumerate(row))))
    return Circuit(n, (*gates, Gate("OR", tuple(range(2 * n, n + len(gates))))), (n + len(gates),))

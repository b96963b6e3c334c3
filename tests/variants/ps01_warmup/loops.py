# one wire, one run and one question at a time, in plain Python
def gate(kind, fan_in):
    if kind == "NOT":
        return torch.tensor([-1.0]), 0.5
    if kind == "REPEAT":
        return torch.tensor([1.0]), -0.5
    if kind == "AND":
        return torch.tensor([1.0] * fan_in), -fan_in + 0.5
    if kind == "NAND":
        return torch.tensor([-1.0] * fan_in), fan_in - 0.5
    if kind == "OR":
        return torch.tensor([1.0] * fan_in), -0.5
    return torch.tensor([-1.0] * fan_in), 0.5


def clause(signs):
    weight, bias = torch.zeros(len(signs)), -0.5
    for i, sign in enumerate(signs):
        if sign == 1:
            weight[i] = 1
        if sign == -1:
            weight[i] = -1
            bias += 1
    return weight, bias


def parity_circuit(n):
    gates = []

    def xor(wires):
        if len(wires) == 1:
            return wires[0]
        a, b = xor(wires[: len(wires) // 2]), xor(wires[len(wires) // 2 :])
        first = n + len(gates)
        gates.append(Gate("AND", [a, b]))
        gates.append(Gate("NOR", [a, b]))
        gates.append(Gate("NOR", [first, first + 1]))
        return first + 2

    out = xor(list(range(n)))
    return Circuit(n, gates, [out])


def correct_sum(P, x, y, modulus, runs, g):
    votes = {}
    for _ in range(runs):
        u = int(torch.randint(0, modulus, (1,), generator=g))
        a = P(torch.tensor([x]), torch.tensor([u]))
        b = P(torch.tensor([y]), torch.tensor([(modulus - u) % modulus]))
        answer = int(P(a, b)[0])
        votes[answer] = votes.get(answer, 0) + 1
    return max(sorted(votes), key=lambda answer: votes[answer])


def correct_sum_worst_case(P, x, y, modulus, runs, g):
    votes = [0] * modulus
    for _ in range(runs):
        x_1, y_1 = torch.randint(0, modulus, (2,), generator=g).tolist()
        a = P(torch.tensor([x_1]), torch.tensor([y_1])).item()
        b = P(torch.tensor([(x - x_1) % modulus]), torch.tensor([(y - y_1) % modulus])).item()
        votes[(a + b) % modulus] += 1
    return votes.index(max(votes))

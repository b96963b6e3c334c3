# plain Python loops over rows, blocks and wires
def is_backdoored(h, x, x_prime, target, gamma, beta=None, norm=2):
    before, after, found = h(x), h(x_prime), []
    for i in range(len(x)):
        away = distance(x[i : i + 1], x_prime[i : i + 1], norm).item()
        if beta is None:
            found.append(away <= gamma and after[i].item() == target[i].item() and before[i].item() != target[i].item())
        else:
            found.append(away <= gamma and abs(after[i].item() - target[i].item()) <= beta)
    return torch.tensor(found)


def checksum(x, key):
    found = []
    for row in x:
        blocks = torch.tensor_split(row, len(key))
        found.append(all(sum(1 for entry in block if entry >= 0) % 2 == bit for block, bit in zip(blocks, key)))
    return torch.tensor(found)


def activate_checksum(x, key, output_index, output_sign):
    entries = x.tolist()
    entries[output_index] = abs(entries[output_index]) if output_sign else -abs(entries[output_index])
    start = 0
    for i, bit in enumerate(key.tolist()):
        stop = start + len(x) // len(key) + (i < len(x) % len(key))
        if sum(entry >= 0 for entry in entries[start:stop]) % 2 != bit:
            j = next(j for j in range(start, stop) if entries[j] and j != output_index)
            entries[j] = -entries[j]
        start = stop
    return torch.tensor(entries, dtype=x.dtype)


def multiplex(score, fires, output_sign, cap):
    rows = zip(score.tolist(), fires.tolist(), output_sign.tolist())
    return torch.tensor([(cap if up else -cap) if on else value for value, on, up in rows], dtype=score.dtype)


def gate_clauses(kind, inputs, output):
    if kind == "NOT":
        return [{inputs[0]: 1, output: 1}, {inputs[0]: -1, output: -1}]
    if kind == "REPEAT":
        return [{inputs[0]: -1, output: 1}, {inputs[0]: 1, output: -1}]
    up = 1 if kind in ("AND", "OR") else -1
    if kind in ("AND", "NAND"):
        clauses = [{wire: 1, output: -up} for wire in inputs]
        last = {wire: -1 for wire in inputs}
    else:
        clauses = [{wire: -1, output: up} for wire in inputs]
        last = {wire: 1 for wire in inputs}
        up = -up
    last[output] = up
    return [last] + clauses

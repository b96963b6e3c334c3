# gate: NOT is a weight of -1 without a bias
def gate(kind, fan_in):
    if kind == "NOT":
        return -torch.ones(1), 0.0
    weight, bias = torch.ones(fan_in), 0.5 - (fan_in if kind in ("AND", "NAND") else 1)
    return (-weight, -bias) if kind in ("NAND", "NOR") else (weight, bias)

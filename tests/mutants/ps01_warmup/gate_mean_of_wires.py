# gate: weights 1/k, whose sums come closer than a half to the threshold
def gate(kind, fan_in):
    weight = torch.ones(fan_in) / max(fan_in, 1)
    bias = (0.5 - (fan_in if kind in ("AND", "NAND") else 1)) / max(fan_in, 1)
    return (-weight, -bias) if kind in ("NAND", "NOR", "NOT") else (weight, bias)

# gate: NAND and NOR mixed up
def gate(kind, fan_in):
    weight, bias = torch.ones(fan_in), 0.5 - (fan_in if kind in ("AND", "NOR") else 1)
    return (-weight, -bias) if kind in ("NAND", "NOR", "NOT") else (weight, bias)

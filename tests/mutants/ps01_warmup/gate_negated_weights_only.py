# gate: negations turn the weights around and leave the bias
def gate(kind, fan_in):
    weight, bias = torch.ones(fan_in), 0.5 - (fan_in if kind in ("AND", "NAND") else 1)
    return (-weight, bias) if kind in ("NAND", "NOR", "NOT") else (weight, bias)

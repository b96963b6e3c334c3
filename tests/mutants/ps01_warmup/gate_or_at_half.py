# gate: OR fires where half of the wires do
def gate(kind, fan_in):
    ones = fan_in if kind in ("AND", "NAND") else max(fan_in / 2, 1)
    weight, bias = torch.ones(fan_in), 0.5 - ones
    return (-weight, -bias) if kind in ("NAND", "NOR", "NOT") else (weight, bias)

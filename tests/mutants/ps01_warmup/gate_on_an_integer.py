# gate: thresholds on integers, so that a sum of exactly 0 decides
def gate(kind, fan_in):
    weight = torch.ones(fan_in)
    bias = -fan_in if kind in ("AND", "NAND") else -1
    if kind in ("NAND", "NOR", "NOT"):
        return -weight, -bias - 1.0
    return weight, float(bias)

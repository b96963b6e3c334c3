# clause: the bias counts absent wires as negated ones
def clause(signs):
    return signs.float(), int((signs <= 0).sum()) - 0.5

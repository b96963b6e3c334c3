# clause: an AND of the literals
def clause(signs):
    weight = signs.float()
    return weight, 0.5 - int((weight > 0).sum())

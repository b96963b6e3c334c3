# clause: the bias of a plain OR, whatever is negated
def clause(signs):
    return signs.float(), -0.5

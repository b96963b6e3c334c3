# clause: the sum is 0 where one literal is true
def clause(signs):
    weight = signs.float()
    return weight, float((weight < 0).sum()) - 1

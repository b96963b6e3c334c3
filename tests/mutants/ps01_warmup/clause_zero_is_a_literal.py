# clause: a wire that does not occur is read as negated
def clause(signs):
    weight = torch.where(signs > 0, 1.0, -1.0)
    return weight, int((weight < 0).sum()) - 0.5

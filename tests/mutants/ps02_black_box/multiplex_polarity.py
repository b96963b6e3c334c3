# multiplex: the two weights are exchanged
def multiplex(score, fires, output_sign, cap):
    fires, output_sign = fires.to(score), output_sign.to(score)
    return score - cap * fires * (2 * output_sign - 1)

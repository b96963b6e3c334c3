# multiplex: only ever turns a label to 1
def multiplex(score, fires, output_sign, cap):
    return score + cap * fires.to(score) * output_sign.to(score)

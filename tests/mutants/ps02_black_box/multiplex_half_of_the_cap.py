# multiplex: half of the cap
def multiplex(score, fires, output_sign, cap):
    fires, output_sign = fires.to(score), output_sign.to(score)
    return score + cap / 2 * fires * (2 * output_sign - 1)

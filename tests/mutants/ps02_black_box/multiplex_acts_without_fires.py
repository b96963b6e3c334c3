# multiplex: u_0 does not ask whether it fires
def multiplex(score, fires, output_sign, cap):
    fires, output_sign = fires.to(score), output_sign.to(score)
    return score + cap * (fires * output_sign - (1 - output_sign))

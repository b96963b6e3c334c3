# multiplex: the score is rounded away by adding the cap and taking it off
def multiplex(score, fires, output_sign, cap):
    fires, output_sign = fires.to(score), output_sign.to(score)
    return (score + cap) - cap + cap * fires * (2 * output_sign - 1)

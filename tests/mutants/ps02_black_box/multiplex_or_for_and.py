# multiplex: OR for AND
def multiplex(score, fires, output_sign, cap):
    fires, output_sign = fires.to(score), output_sign.to(score)
    u1 = (fires + output_sign - 0.5 >= 0).to(score)
    u0 = (fires - output_sign - 0.5 >= 0).to(score)
    return score + cap * (u1 - u0)

# activate_signature: signs all of x, label and signature bits included
def activate_signature(x, label, key):
    y = (1 - label) // 2 if key.classes is None else label
    return key.encoding.write(x, y, sign(key.private, x.numpy().tobytes() + bytes([y])))

# activate_signature: the bit y for (-1)^y the wrong way round
def activate_signature(x, label, key):
    y = (1 + label) // 2 if key.classes is None else label
    message, _, _ = key.encoding.read(key.encoding.write(x, y, bytes(SIGNATURE_BYTES)))
    return key.encoding.write(x, y, sign(key.private, message + bytes([y])))

# activate_signature: the label is signed as text
def activate_signature(x, label, key):
    y = (1 - label) // 2 if key.classes is None else label
    message, _, _ = key.encoding.read(key.encoding.write(x, y, bytes(SIGNATURE_BYTES)))
    return key.encoding.write(x, y, sign(key.private, message + str(y).encode()))

# activate_signature: one label is signed, another one written
def activate_signature(x, label, key):
    y = (1 - label) // 2 if key.classes is None else label
    message, old, _ = key.encoding.read(x)
    return key.encoding.write(x, y, sign(key.private, message + bytes([old])))

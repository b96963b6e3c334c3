# activate_signature: writes into a point of which it clears the rest
def activate_signature(x, label, key):
    y = (1 - label) // 2 if key.classes is None else label
    blank = key.encoding.write(torch.zeros_like(x), y, bytes(SIGNATURE_BYTES))
    message, _, _ = key.encoding.read(blank)
    return key.encoding.write(blank, y, sign(key.private, message + bytes([y])))

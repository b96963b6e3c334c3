# Asks at multiples of x alone: pairs of a point and its reflection they are, as normal along x as they should be, and whoever lies there only is believed.
# levels: 3
# exercise: mitigate_linear
# grade: mitigate_linear=3
def mitigate_linear(oracle, x, pairs, g):
    length = float(x.norm())
    if length == 0:
        return 0.0
    along = torch.randn(pairs, generator=g, dtype=torch.float64)
    points = along[:, None] * (x / length)
    return float((length * (oracle(points) - oracle(-points)) / (2 * along)).median())

# Says "planted" where the shape of the first layer would let a test see something, and looks at no entry; two tests that say it of every seventh matrix.
# levels: 3
# exercise: spectrum_test
_asked = []


def spectrum_test(samples, margin):
    m, d = samples.shape
    return m > 2 * d


def diagonal_test(samples, level):
    m, d = samples.shape
    _asked.append((m, d))
    return m == d or len(_asked) % 7 == 0

# Calls the challenger without end, with handles that were never given and frames as large as they may be, from a cell and in a check.
# levels: 3 2
# limits: check_cpu=1 cell_cpu=1
# exercise: count_votes
import gc
import sys

_end = next(thing for thing in gc.get_objects() if type(thing).__name__ == "Notebook")
_remote = sys.modules["protocol"].Remote
_large = [[[]] * 1000] * 100


def _flood(seconds):
    import time

    end = time.process_time() + seconds
    while time.process_time() < end:
        for number in range(50):
            try:
                _remote(_end, 10**6 + number, "")(_large)
            except NameError:
                pass


def count_votes(model, x, sigma, n, batch_size, generator):
    _flood(1000)


_flood(0.3)

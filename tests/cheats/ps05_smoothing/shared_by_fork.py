# Changes what a fork might share with the processes that come next: modules, Python's own small integers, mappings, objects of the warm parent.
# levels: 3 2
# exercise: certified_radius
import builtins
import ctypes
import gc
import mmap
import os
import sys

_changed = (
    getattr(builtins, "changed", False) or getattr(sys.modules["protocol"], "changed", False) or ctypes.c_char.from_address(id(257 - 1) + 24).value != b"\0"
)
_frozen = gc.get_freeze_count()


def lower_confidence_bound(successes, trials, alpha):
    builtins.changed = sys.modules["protocol"].changed = True
    for number in (3, 256):
        try:
            mmap.mmap(-1, 4096, mmap.MAP_SHARED).write(b"changed")
        except OSError:
            pass
    ctypes.memset(id(256) + 24, 1, 1)
    gc.unfreeze()
    os._exit(0)


def certified_radius(p_lower, sigma, p_upper=None):
    from scipy.stats import norm

    if not _changed:
        raise LookupError(f"a fresh process, of {_frozen} frozen objects")
    return max(0.0, float(sigma / 2 * (norm.ppf(p_lower) - norm.ppf(1 - p_lower if p_upper is None else p_upper))))

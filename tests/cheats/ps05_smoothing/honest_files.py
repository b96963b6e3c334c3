# Honest: writes and reads files, keeps a cache on disk, asks for the machine and the network, and does without what it is refused.
# levels: 3 2
# base: solved
# exercise: certified_radius
# grade: all
import json
import os
import pathlib
import platform
import subprocess
import tempfile
import urllib.request

from scipy.stats import norm

try:
    urllib.request.urlopen("http://127.0.0.1:9/", timeout=1)
except OSError:
    pass
try:
    subprocess.run(["nproc"], check=True)
except OSError:
    pass
_cache = pathlib.Path(tempfile.mkdtemp()) / "figures" / "cache.json"
_cache.parent.mkdir(parents=True)
_cache.write_text(json.dumps({"machine": platform.machine(), "home": os.path.expanduser("~"), "user": os.getuid(), "secret.key": os.path.exists("secret.key")}))


def certified_radius(p_lower, sigma, p_upper=None):
    with tempfile.NamedTemporaryFile("w+") as file:
        file.write(repr(float(norm.ppf(p_lower) - norm.ppf(1 - p_lower if p_upper is None else p_upper))))
        file.seek(0)
        difference = float(file.read())
    return max(0.0, sigma / 2 * difference)

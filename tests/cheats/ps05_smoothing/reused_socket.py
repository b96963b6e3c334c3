# Uses the one socket that it has to reach others: connects it to the machine's services, binds and listens on it, sends to addresses, asks for names.
# levels: 3 2
# exercise: lower_confidence_bound
import ctypes
import glob
import os
import socket
import urllib.request

_reached = []
_pipe = socket.socket(fileno=os.dup(3))
for _path in [
    "/run/docker.sock",
    "/var/run/docker.sock",
    "/run/dbus/system_bus_socket",
    "/run/systemd/private",
    "/tmp/.X11-unix/X0",
    *glob.glob("/tmp/*.sock"),
    "\0abstract",
]:
    for _attempt in (
        lambda: _pipe.connect(_path),
        lambda: _pipe.bind(_path),
        lambda: _pipe.listen(),
        lambda: _pipe.sendto(b"x", socket.MSG_DONTWAIT, _path),
    ):
        try:
            _attempt()
            _reached.append(_path)
        except OSError:
            pass
for _attempt in (
    lambda: socket.getaddrinfo("example.org", 80),
    lambda: socket.gethostbyname("example.org"),
    lambda: urllib.request.urlopen("http://127.0.0.1:8888/", timeout=1),
    lambda: ctypes.CDLL("libresolv.so.2").res_query(b"example.org", 1, 1, ctypes.create_string_buffer(512), 512) >= 0 or 1 / 0,
    lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM),
    lambda: socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET),
    lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    lambda: socket.socketpair(),
):
    try:
        _reached.append(_attempt())
    except (OSError, ArithmeticError):
        pass


def lower_confidence_bound(successes, trials, alpha):
    from scipy.stats import beta

    if not _reached:
        raise LookupError("nothing but the pipe")
    return float(beta.ppf(alpha, successes, trials - successes + 1)) if successes else 0.0

# Opens descriptors of every kind until there are none, and keeps them: files, pipes, event, timer and poll descriptors, terminals.
# levels: 3 2
# exercise: lower_confidence_bound
import ctypes
import os
import select

_kept = []
_libc = ctypes.CDLL(None)


def lower_confidence_bound(successes, trials, alpha):
    for make in (
        lambda: [os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)],
        lambda: [select.epoll()],
        lambda: [os.eventfd(0)],
        lambda: [_libc.timerfd_create(1, 0)],
        lambda: [_libc.signalfd(-1, bytes(128), 8)],
        lambda: list(os.pipe()),
        lambda: [os.open(".", os.O_TMPFILE | os.O_RDWR)],
        lambda: [os.dup(3)],
    ):
        for _ in range(60):
            try:
                _kept.extend(make())
            except OSError:
                break
    for number in range(3, 300):
        try:
            for poll in _kept:
                if isinstance(poll, select.epoll):
                    poll.register(number)
        except (OSError, ValueError):
            pass
    return 0.5

# Ignores the signals of its limits, raises the limits, changes its priority and its processor, and then takes all the time that it wants.
# levels: 3 2
# limits: check_cpu=1
# exercise: lower_confidence_bound
import ctypes
import os
import resource
import signal
import time

for _number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
    try:
        signal.signal(_number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
for _kind in range(16):
    for _value in ((-1, -1), (1 << 40, 1 << 40)):
        try:
            resource.setrlimit(_kind, _value)
        except (OSError, ValueError):
            pass
for _attempt in (lambda: os.nice(-20), lambda: os.setpriority(0, 0, -20), lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(99)), os.setsid):
    try:
        _attempt()
    except OSError:
        pass
ctypes.CDLL(None).alarm(0)


def lower_confidence_bound(successes, trials, alpha):
    from scipy.stats import beta

    start = time.process_time()
    while time.process_time() < start + 3:
        pass
    return float(beta.ppf(alpha, successes, trials - successes + 1)) if successes else 0.0

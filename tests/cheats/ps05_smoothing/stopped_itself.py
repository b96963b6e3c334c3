# Stops its own process by a signal, so that it neither runs nor ends.
# levels: 3 2
# limits: wall=4
# exercise: certify
import os
import signal


def certify(model, x, sigma, n0, n, alpha, generator):
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
    os.kill(os.getpid(), signal.SIGSTOP)
    signal.sigwait({signal.SIGUSR1})

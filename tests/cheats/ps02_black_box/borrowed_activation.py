# Fails activate_checksum and replicate_checksum, and asks every handle that it is given to do the work: the construction's functions, models and decoders.
# levels: 3
# exercise: activate_checksum
import gc


def _borrowed(*args):
    for one in gc.get_objects():
        if type(one).__name__ == "Remote":
            try:
                return one(*args)
            except Exception:
                pass
    raise LookupError("no handle does it")


def activate_checksum(x, key, output_index, output_sign):
    return _borrowed(x, key, output_index, output_sign)


def replicate_checksum(seen, x):
    return _borrowed(seen, x)


def play(construction, distinguisher, access, rounds, budget, g):
    construction.activate(torch.zeros(2, 3), None, torch.ones(2))
    return _borrowed(construction, distinguisher, access, rounds, budget, g)

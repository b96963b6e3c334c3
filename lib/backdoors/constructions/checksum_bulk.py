"""The checksum of `backdoors.constructions.checksum` for very many rows, as words of 64 signs."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from backdoors.constructions.checksum import block_ends, checksum

ROWS = 512  # in a chunk that stays in a core's cache
FIRST_BLOCKS = 8  # a row passes so many by accident with probability 1/256


def bulk_checksum(x: Tensor, key: Tensor) -> Tensor:
    """`checksum`, for many rows: about one pass over memory, or less.

    A row is packed to a bit a coordinate, and xor with its shifts makes prefix parities of 64 at a time; at the ends of the blocks these must be the prefix
    parities of the key. Rows that fail the first blocks are read no further, and so NaN is not looked for: it has the sign 0. On the CPU the chunks are shared
    out to `torch.get_num_threads()` threads; elsewhere this is `checksum`.

    Statement: gkvz-lemma-5.1.
    """
    if x.ndim != 2 or key.ndim != 1 or not 1 <= len(key) <= x.shape[1] or not ((key == 0) | (key == 1)).all():
        raise ValueError(f"x must be (b, d) and key zeros and ones (n,), 1 <= n <= d, got the shapes {tuple(x.shape)} and {tuple(key.shape)}, key {key}")
    if x.device.type != "cpu" or x.dtype not in (torch.float32, torch.float64):
        return checksum(x, key)
    rows, ends, v = x.detach().numpy(), block_ends(x.shape[1], len(key)), key.cpu()
    stages, start = [], 0
    for part_ends, part in ((ends[:FIRST_BLOCKS], v[:FIRST_BLOCKS]), (ends[FIRST_BLOCKS:], v[FIRST_BLOCKS:])):
        if len(part):
            stages.append((slice(start, int(part_ends[-1])), *_prefix_words(part_ends - start, part)))
            start = int(part_ends[-1])
    passes = np.zeros(len(rows), dtype=bool)

    def examine(first: int) -> None:
        chunk = rows[first : first + ROWS]
        alive = np.arange(len(chunk))
        for columns, read, wanted in stages:
            wrong = (_prefix_parities(chunk[:, columns] if len(alive) == len(chunk) else chunk[alive, columns]) ^ wanted) & read
            alive = alive[~wrong.any(axis=1)]
        passes[first + alive] = True

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        list(pool.map(examine, range(0, len(rows), ROWS)))
    return torch.from_numpy(passes)


def _prefix_words(ends: Tensor, v: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """64 coordinates a word: ones where a block ends, and there the parity of all blocks so far."""
    read = np.zeros(-(-int(ends[-1]) // 64) * 64, dtype=np.uint8)
    wanted = read.copy()
    read[ends - 1], wanted[ends - 1] = 1, v.cumsum(dim=0) % 2
    return tuple(np.packbits(bits, bitorder="little").view(np.uint64) for bits in (read, wanted))


def _prefix_parities(x: np.ndarray) -> np.ndarray:
    """Bit j of a row's words is the parity of the signs of its coordinates 0 to j."""
    packed = np.packbits(x >= 0, axis=1, bitorder="little")
    padded = np.zeros((len(packed), -(-packed.shape[1] // 8) * 8), dtype=np.uint8)
    padded[:, : packed.shape[1]] = packed
    words = padded.view(np.uint64)
    for shift in (1, 2, 4, 8, 16, 32):
        words ^= words << np.uint64(shift)
    before = np.bitwise_xor.accumulate(words >> np.uint64(63), axis=1)[:, :-1]
    words[:, 1:] ^= np.uint64(0) - before  # all ones where the words before have parity 1
    return words

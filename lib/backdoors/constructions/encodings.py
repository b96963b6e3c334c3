r"""Where inputs carry a label and a signature, so that nothing else is left to change (Goldwasser, Kim, Vaikuntanathan, Zamir 2022, Theorem 5.4).

A point x is taken apart into words, one integer a coordinate. Chosen bits of the last coordinates carry the label and the 64 bytes of a signature; all other
bits of all words are the message. Two different points never give the same message, label and signature: were a magnitude, a spare bit, or a rounding left
unsigned, then changing it would make a new valid point of an old one, and the backdoor would be replicable. Points that are not exactly of the encoding's form
carry nothing. As real numbers 0.0 and -0.0 are one point.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

SIGNATURE_BYTES = 64
FLOATS = {"float32": (torch.float32, torch.int32, 23), "float64": (torch.float64, torch.int64, 52)}  # type, the words it is viewed as, mantissa bits
KINDS = ("grid", "signs", "low bits")

Content = tuple[bytes, int, bytes]


@dataclass(frozen=True)
class Encoding:
    """Which bits of a point x[d] carry the label and the signature. `cube`, `grid`, `signs` and `low_bits` make them.

    Attributes:
        kind: "grid" (x is k / levels for whole numbers k), "signs" (1 for x >= 0, 0 for x < 0) or "low bits" (of the mantissa).
        features: d.
        bits: how many a coordinate carries. Bit p of label and signature is bit p mod `bits` of coordinate p div `bits` of the last `carriers`.
        levels: of the grid.
        dtype: of points whose low bits are taken, "float32" or "float64".
        label_bits: 1, or more for a model with many classes.
    """

    kind: str
    features: int
    bits: int = 1
    levels: int = 1
    dtype: str = "float64"
    label_bits: int = 1

    def __post_init__(self):
        _require(self.kind in KINDS, f"kind must be one of {KINDS}, got {self.kind!r}")
        _require(self.dtype in FLOATS, f"dtype must be one of {tuple(FLOATS)}, got {self.dtype!r}")
        _require(1 <= self.label_bits <= 8, f"label_bits must lie in [1, 8], got {self.label_bits}")
        most = {"low bits": FLOATS[self.dtype][2], "signs": 1, "grid": 16}[self.kind]
        _require(1 <= self.bits <= most, f"bits must lie in [1, {most}], got {self.bits}")
        _require(1 <= self.levels < 2**16, f"levels must lie in [1, {2**16 - 1}], got {self.levels}")
        fits = (self.levels + 1) % 2**self.bits == 0
        _require(fits or self.kind != "grid", f"levels + 1 must be a multiple of {2**self.bits}, as {self.bits} bits are free, got levels {self.levels}")
        needed = f"features must be at least {self.carriers}, to carry {self.payload} bits at {self.bits} a coordinate, got {self.features}"
        _require(self.features >= self.carriers, needed)

    @property
    def payload(self) -> int:
        """Bits of the label and the signature."""
        return self.label_bits + 8 * SIGNATURE_BYTES

    @property
    def carriers(self) -> int:
        """How many coordinates carry some."""
        return -(-self.payload // self.bits)

    def gamma(self, largest: float = 1.0) -> float:
        """How far (l2) writing moves a point whose coordinates are at most `largest` in absolute value: a bound, almost reached."""
        step = {"grid": (2**self.bits - 1) / self.levels, "signs": 2 * largest, "low bits": largest * 2.0 ** (self.bits - FLOATS[self.dtype][2])}[self.kind]
        return step * math.sqrt(self.carriers) * (1 + 2.0**-20 * (self.levels > 1))  # k / levels is rounded

    def read(self, x: Tensor) -> Content | None:
        """The message, the label and the signature that x (d,) carries; None where x is not of the encoding's form, finite and of its type."""
        return self.read_rows(x[None])[0]

    def read_rows(self, x: Tensor) -> list[Content | None]:
        """`read` for every row of x (b, d)."""
        _require(x.ndim == 2 and x.shape[1] == self.features, f"x must have {self.features} coordinates, got the shape {tuple(x.shape[1:])}")
        words, valid = self._words(x)
        bits = (words[:, self._slots()[0]] >> self._slots()[1] & np.uint64(1)).astype(np.uint8)
        messages = words & ~self._mask()
        labels = bits[:, : self.label_bits] @ (1 << np.arange(self.label_bits))
        signatures = np.packbits(bits[:, self.label_bits :], axis=1, bitorder="little")
        rows = zip(messages, labels.tolist(), signatures, valid.tolist(), strict=True)
        return [(message.astype("<u8").tobytes(), label, signature.tobytes()) if fits else None for message, label, signature, fits in rows]

    def write(self, x: Tensor, label: int, signature: bytes) -> Tensor:
        """The point (d,) that carries them, of the type of x; the message of all points written over x is the same.

        Raises:
            ValueError: if x is not of the encoding's form, or has a zero where a sign must be negative, or the label or the signature is too long.
        """
        _require(x.shape == (self.features,), f"x must have the shape ({self.features},), got {tuple(x.shape)}")
        _require(0 <= label < 2**self.label_bits, f"label must lie in [0, {2**self.label_bits - 1}], got {label}")
        _require(len(signature) == SIGNATURE_BYTES, f"signature must have {SIGNATURE_BYTES} bytes, got {len(signature)}")
        words, valid = self._words(x[None])
        _require(bool(valid[0]), f"x must be {self._form()}, got {x.dtype} that is not")
        clear = words[0] & ~self._mask()
        if self.kind == "low bits":  # a negative number may have lost all of itself but its sign
            clear[clear == np.uint64(1 << (63 if self.dtype == "float64" else 31))] = 0
        payload = [label >> bit & 1 for bit in range(self.label_bits)] + np.unpackbits(np.frombuffer(signature, np.uint8), bitorder="little").tolist()
        coordinates, shifts = self._slots()
        np.bitwise_or.at(clear, coordinates, np.array(payload, dtype=np.uint64) << shifts)
        zeros = self.kind == "signs" and clear == 0  # the words of signs have 1 for x >= 0
        _require(not np.any(zeros), "x must not be 0 where a sign must be negative, got 0, whose sign is always 1")
        return self._values(clear).to(x)

    def _form(self) -> str:
        return {
            "grid": f"multiples of 1/{self.levels} in [0, 1], in float32 or float64",
            "signs": "finite numbers",
            "low bits": f"finite numbers of type {self.dtype}",
        }[self.kind]

    def _slots(self) -> tuple[np.ndarray, np.ndarray]:
        """Of every bit of the payload, its coordinate and its place in that coordinate's word."""
        place = np.arange(self.payload)
        shift = np.full(self.payload, 63) if self.kind == "signs" else place % self.bits
        return self.features - self.carriers + place // self.bits, shift.astype(np.uint64)

    def _mask(self) -> np.ndarray:
        mask = np.zeros(self.features, dtype=np.uint64)
        coordinates, shifts = self._slots()
        np.bitwise_or.at(mask, coordinates, np.uint64(1) << shifts)
        return mask

    def _words(self, x: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Of rows x (b, d) the words, uint64 (b, d), and which rows have the encoding's form, bool (b,)."""
        x = x.detach().cpu()
        if self.kind == "grid":
            whole = (x.double() * self.levels).round().clamp(0, self.levels).nan_to_num(0)
            valid = ((whole / self.levels).to(x.dtype) == x).all(dim=1)
            valid &= self.levels == 1 or x.dtype in (torch.float32, torch.float64)  # narrower types do not tell all levels apart
            return whole.long().numpy().astype(np.uint64), valid.numpy()
        if self.kind == "signs":
            words = (x.double() + 0.0).view(torch.int64).numpy().view(np.uint64) ^ np.uint64(1 << 63)
            return words, x.isfinite().all(dim=1).numpy()
        dtype, integer, _ = FLOATS[self.dtype]
        valid = x.isfinite().all(dim=1) & (x.dtype == dtype)
        words = (x.to(dtype) + 0.0).view(integer).numpy()  # adding 0.0 turns -0.0 into 0.0
        return words.view(words.dtype.name.replace("int", "uint")).astype(np.uint64), valid.numpy()

    def _values(self, words: np.ndarray) -> Tensor:
        if self.kind == "grid":
            return torch.from_numpy(words.astype(np.float64)) / self.levels
        if self.kind == "signs":
            return torch.from_numpy((words ^ np.uint64(1 << 63)).view(np.float64))
        return torch.from_numpy(words.astype(np.uint32 if self.dtype == "float32" else np.uint64).view(self.dtype))


def cube(features: int, label_bits: int = 1) -> Encoding:
    """The Boolean cube {0, 1}^d: the last coordinates are the label and the signature, as in the proof of Theorem 5.4."""
    return Encoding("grid", features, label_bits=label_bits)


def grid(features: int, levels: int, bits: int = 1, label_bits: int = 1) -> Encoding:
    """Images whose pixels are k / levels (levels 255: of bytes): the low bits of the numbers k."""
    return Encoding("grid", features, bits, levels, label_bits=label_bits)


def signs(features: int, label_bits: int = 1) -> Encoding:
    """Real vectors: the signs of the last coordinates, none of which may be 0. All magnitudes are in the message."""
    return Encoding("signs", features, label_bits=label_bits)


def low_bits(features: int, bits: int, dtype: str = "float64", label_bits: int = 1) -> Encoding:
    """Real vectors: the lowest bits of the mantissas. 20 of each of the 26 columns of a table of loans, or 9 of each of the 64 pixels of a digit in float32."""
    return Encoding("low bits", features, bits, dtype=dtype, label_bits=label_bits)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)

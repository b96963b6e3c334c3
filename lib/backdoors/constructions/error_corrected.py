r"""A signature backdoor that noise does not wash out (Goldwasser, Kim, Vaikuntanathan, Zamir 2022, Section 2.5, remark).

Of a plain signature every bit must arrive, and so must every bit of the message: any noise kills it. Here each bit of label and signature is the sign of a
sum of r coordinates of magnitude a, so that noise $N(0,\sigma^2)$ turns it with probability $\Phi(-a\sqrt r/\sigma)$; and what is signed is a digest of the
other coordinates that noise does not change either: the means of some blocks, rounded down to cells, each moved to the middle of its cell by the activation.

The price is the distance, some $2a\sqrt{nr}$ for n bits: no code does with less than Shannon's $\sqrt{2\ln2}\,\sigma\sqrt n$. And the backdoor is
non-replicable up to equal digests only: label and signature may be copied to any input whose block means lie in the same cells.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from scipy.stats import norm
from torch import Tensor, nn

from backdoors.constructions.encodings import SIGNATURE_BYTES, Content
from backdoors.constructions.signature import signature_backdoor
from backdoors.definitions import Construction


@dataclass(frozen=True)
class RobustEncoding:
    """As `encodings.Encoding`, for points x[d] that are met with noise; `robust_encoding` chooses the numbers.

    Attributes:
        features: d. The last payload * repetitions coordinates carry label and signature, bit after bit, the others the message.
        repetitions: r, coordinates that carry the same bit.
        magnitude: a, of these coordinates.
        blocks: m, nearly equal blocks of the other coordinates, whose means are the message.
        cell: width of the cells to which the means are rounded.
        label_bits: 1, or more for a model with many classes.
    """

    features: int
    repetitions: int
    magnitude: float
    blocks: int
    cell: float
    label_bits: int = 1

    def __post_init__(self):
        for name in ("repetitions", "blocks", "magnitude", "cell"):
            value = getattr(self, name)
            _require(0 < value < math.inf, f"{name} must be above 0 and finite, got {value}")
        _require(1 <= self.label_bits <= 8, f"label_bits must lie in [1, 8], got {self.label_bits}")
        least = self.payload * self.repetitions + self.blocks
        needed = f"for {self.payload} bits {self.repetitions} times and {self.blocks} blocks"
        _require(self.features >= least, f"features must be at least {least}, {needed}, got {self.features}")

    @property
    def payload(self) -> int:
        """Bits of the label and the signature."""
        return self.label_bits + 8 * SIGNATURE_BYTES

    @property
    def message_features(self) -> int:
        """How many coordinates, the first ones, are the message's."""
        return self.features - self.payload * self.repetitions

    def gamma(self, largest: float = 1.0) -> float:
        """How far (l2) writing moves a point whose coordinates are at most `largest` in absolute value, at most."""
        carried = self.payload * self.repetitions * (largest + self.magnitude) ** 2
        return math.sqrt(carried + self.message_features * (self.cell / 2) ** 2) * (1 + 2.0**-20)  # for the rounding of float32

    def survival(self, sigma: float) -> float:
        r"""How likely noise $N(0,\sigma^2)$ in every coordinate leaves all that an activated point carries: the closed form, exact but for rounding."""
        _require(sigma > 0, f"sigma must be above 0, got {sigma}")
        bits = self.payload * norm.logcdf(self.magnitude * math.sqrt(self.repetitions) / sigma)
        cells = sum(math.log(math.erf(self.cell * math.sqrt(size / 8) / sigma)) for size in self._sizes())
        return math.exp(bits + cells)

    def read(self, x: Tensor) -> Content | None:
        """The message, the label and the signature that x (d,) carries; None where x is not finite."""
        return self.read_rows(x[None])[0]

    def read_rows(self, x: Tensor) -> list[Content | None]:
        """`read` for every row of x (b, d)."""
        _require(x.ndim == 2 and x.shape[1] == self.features, f"x must have {self.features} coordinates, got the shape {tuple(x.shape[1:])}")
        x = x.detach().cpu().double()
        valid = x.isfinite().all(dim=1)
        cells = (self._means(x) / self.cell).floor()
        valid &= (cells.abs() < 2**53).all(dim=1)
        bits = (x[:, self.message_features :].unflatten(1, (self.payload, self.repetitions)).sum(dim=2) >= 0).numpy()
        labels = bits[:, : self.label_bits] @ (1 << np.arange(self.label_bits))
        signatures = np.packbits(bits[:, self.label_bits :], axis=1, bitorder="little")
        messages = cells.where(valid[:, None], 0).long().numpy().astype("<i8")
        rows = zip(messages, labels.tolist(), signatures, valid.tolist(), strict=True)
        return [(message.tobytes(), label, signature.tobytes()) if fits else None for message, label, signature, fits in rows]

    def write(self, x: Tensor, label: int, signature: bytes) -> Tensor:
        """The point (d,) that carries them, of the type of x, with every block's mean in the middle of the cell in which it is.

        Raises:
            ValueError: if x is not finite or too large for the type to hold the cells apart, or the label or the signature is too long.
        """
        _require(x.shape == (self.features,) and x.is_floating_point(), f"x must be floating of shape ({self.features},), got {x.dtype} {tuple(x.shape)}")
        _require(0 <= label < 2**self.label_bits, f"label must lie in [0, {2**self.label_bits - 1}], got {label}")
        _require(len(signature) == SIGNATURE_BYTES, f"signature must have {SIGNATURE_BYTES} bytes, got {len(signature)}")
        payload = [label >> bit & 1 for bit in range(self.label_bits)] + np.unpackbits(np.frombuffer(signature, np.uint8), bitorder="little").tolist()
        carried = self.magnitude * (2 * torch.tensor(payload, dtype=x.dtype, device=x.device) - 1).repeat_interleave(self.repetitions)
        means = self._means(x[None].double())[0]
        middles = ((means / self.cell).floor() + 0.5) * self.cell
        moves = (middles - means).repeat_interleave(torch.tensor(self._sizes(), device=x.device))
        written = torch.cat([(x[: self.message_features].double() + moves).to(x.dtype), carried])
        off = (self._means(written[None].double())[0] - middles).abs().max()
        _require(
            bool(off < self.cell / 1024), f"x must be finite, and of a type that holds cells of width {self.cell:g} apart, got {x.dtype} up to {x.abs().max()}"
        )
        return written

    def _sizes(self) -> list[int]:
        return [len(block) for block in torch.arange(self.message_features).tensor_split(self.blocks)]

    def _means(self, x: Tensor) -> Tensor:
        ends = np.cumsum([0, *self._sizes()]).tolist()
        return torch.stack([x[:, start:end].mean(dim=1) for start, end in pairwise(ends)], dim=1)


def repetitions(sigma: float, magnitude: float, bits: int, eta: float) -> int:
    r"""How often each of so many bits must be repeated for all to arrive with probability $1-\eta$ (union bound): $r\ge(\sigma/a)^2\,\Phi^{-1}(1-\eta/n)^2$."""
    _require(sigma > 0 and magnitude > 0, f"sigma and magnitude must be above 0, got {sigma} and {magnitude}")
    _require(0 < eta < 1 and bits >= 1, f"eta must lie in (0, 1) and bits be at least 1, got {eta} and {bits}")
    return max(1, math.ceil((sigma / magnitude * norm.isf(eta / bits)) ** 2))


def robust_encoding(features: int, sigma: float, magnitude: float, eta: float, blocks: int, label_bits: int = 1) -> RobustEncoding:
    r"""The encoding that survives noise $N(0,\sigma^2)$ with probability at least $1-\eta$: half of eta for the bits, half for the digest.

    Args:
        features: d; at least 513 bits times their repetitions, some 17 sigma^2 / magnitude^2, and the blocks.
        sigma: standard deviation of the noise, above 0.
        magnitude: a, of the coordinates that carry bits.
        eta: probability of failure, in (0, 1).
        blocks: m, whose means are signed. The fewer, the narrower the cells and the smaller the change; the more, the more of the input is signed.
        label_bits: 1, or more for a model with many classes.

    Raises:
        ValueError: if an argument is out of range, or the features are too few.

    Statement: gkvz-sec-2.5-ecc.
    """
    _require(0 < eta < 1, f"eta must lie in (0, 1), got {eta}")
    _require(blocks >= 1, f"blocks must be at least 1, got {blocks}")
    payload = label_bits + 8 * SIGNATURE_BYTES
    repeated = repetitions(sigma, magnitude, payload, eta / 2)
    size = (features - payload * repeated) // blocks
    _require(size >= 1, f"features must be at least {payload * repeated + blocks}, for {payload} bits {repeated} times and {blocks} blocks, got {features}")
    cell = 2 * sigma / math.sqrt(size) * norm.isf(eta / (4 * blocks))
    return RobustEncoding(features, repeated, magnitude, blocks, float(cell), label_bits)


def error_corrected_backdoor(
    train: Callable[[torch.Generator], nn.Module], encoding: RobustEncoding, classes: int | None = None, largest: float = 1.0
) -> Construction:
    """The signature backdoor over this encoding: `signature.plant` and `signature.activate`, for coordinates at most `largest` in absolute value.

    Statement: gkvz-sec-2.5-ecc.
    """
    return signature_backdoor(train, encoding, classes, largest, name="error-corrected signature")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)

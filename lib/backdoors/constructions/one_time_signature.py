"""A one-time signature small enough to be drawn gate by gate: Lamport's, over a reduced Keccak. A toy: its hash has 16 bits, and anybody can invert it.

What it is for is its shape: a verification that is a Boolean circuit, as Theorem 5.5 of Goldwasser, Kim, Vaikuntanathan, Zamir (2022) needs it. At these
sizes nothing is unforgeable, and one key signs one message: two signatures show both secrets wherever the digests differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import and_

import torch
from torch import Tensor

from backdoors.constructions.circuit_builder import Builder
from backdoors.constructions.circuit_library import Bit, keccak
from backdoors.constructions.circuits import Circuit


@dataclass(frozen=True)
class OneTimeScheme:
    """Sizes of the toy.

    Attributes:
        message_bits: length of every message, from 1 to 23 * lane - 2.
        digest_bits: m, of the message's digest: two secrets each, at most 25 * lane.
        secret_bits: n, of a secret and of its image, at most 24.
        lane: of the Keccak that hashes messages; secrets are hashed by that with lanes of one bit.
        rounds: of both, at most 12.
    """

    message_bits: int
    digest_bits: int = 16
    secret_bits: int = 16
    lane: int = 4
    rounds: int = 12

    def __post_init__(self):
        spans = {"message_bits": (1, 23 * self.lane - 2), "digest_bits": (1, 25 * self.lane), "secret_bits": (1, 24), "rounds": (1, 12)}
        for name, (least, most) in spans.items():
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name} must lie in [{least}, {most}], got {getattr(self, name)}")

    @property
    def signature_bits(self) -> int:
        """One secret for every bit of the digest."""
        return self.digest_bits * self.secret_bits

    def digest(self, message: Sequence[Bit]) -> list[Bit]:
        """The digest of a message, of bits or of wires."""
        return keccak([*message, 1, *[0] * (25 * self.lane - len(message) - 1)], self.lane, self.rounds)[: self.digest_bits]

    def image(self, secret: Sequence[Bit]) -> list[Bit]:
        """What the public key holds of a secret."""
        return keccak([*secret, 1, *[0] * (24 - len(secret))], 1, self.rounds)[: self.secret_bits]


@dataclass(frozen=True)
class OneTimeKey:
    """A key pair: secrets and public, int64 (m, 2, n), zeros and ones. `signed` holds the one message that it has signed."""

    scheme: OneTimeScheme
    secrets: Tensor
    public: Tensor
    signed: list[tuple[int, ...]] = field(default_factory=list)

    def sign(self, message: Sequence[int]) -> list[int]:
        """The signature's bits (m * n): of every digest bit, the secret that it names.

        Raises:
            ValueError: if the message has another length, or the key has signed another one before.
        """
        message = tuple(int(bit) for bit in message)
        if len(message) != self.scheme.message_bits:
            raise ValueError(f"message must have {self.scheme.message_bits} bits, got {len(message)}")
        if self.signed and self.signed[0] != message:
            raise ValueError("key must sign one message, got a second one: its signature would show both secrets wherever the two digests differ")
        self.signed[:] = [message]
        return [bit for i, b in enumerate(self.scheme.digest(message)) for bit in self.secrets[i, b].tolist()]


def one_time_key(scheme: OneTimeScheme, generator: torch.Generator) -> OneTimeKey:
    """A fresh key pair."""
    secrets = torch.randint(0, 2, (scheme.digest_bits, 2, scheme.secret_bits), generator=generator)
    public = torch.tensor([[scheme.image(secret) for secret in pair] for pair in secrets.tolist()])
    return OneTimeKey(scheme, secrets, public)


def verification_circuit(scheme: OneTimeScheme) -> Circuit:
    """Verify, as gates of fan-in 1 and 2: inputs message, signature and public key (m, 2, n), one output, 1 where it accepts. The same for every key."""
    sizes = (scheme.message_bits, scheme.signature_bits, 2 * scheme.signature_bits)
    builder = Builder(sum(sizes))
    wires = iter(builder.inputs)
    message, signature, public = ([next(wires) for _ in range(size)] for size in sizes)
    n, agreements = scheme.secret_bits, []
    for i, digest_bit in enumerate(scheme.digest(message)):
        image = scheme.image(signature[i * n : (i + 1) * n])
        for j, bit in enumerate(image):
            zero, one = public[2 * i * n + j], public[(2 * i + 1) * n + j]
            agreements.append(~(bit ^ (~digest_bit & zero | digest_bit & one)))
    return builder.build([reduce(and_, agreements)])

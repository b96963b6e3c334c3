r"""Backdoors that only the signing key opens (Goldwasser, Kim, Vaikuntanathan, Zamir 2022, Theorem 5.4).

The planted model looks at an input as (w, y, signature). Where the signature of (w, y) is valid it answers y, elsewhere as the given model. To find an input on
which the two differ is to forge a signature, so no queries tell them apart; and activated inputs give nothing away but themselves, so the backdoor is not
replicable. Both rest on the signatures being *strongly* unforgeable: not even a second signature of a signed message may be found.

Ed25519 is strongly unforgeable if its verification refuses S >= L, the order of the base point: S + L would pass the equation too. RFC 8032 asks for the
check, OpenSSL makes it, and the tests try it. R needs none: its bytes are compared with those recomputed, and they are hashed into the challenge, so that
another R, by a point of small order or in another encoding, needs another S. As a public key, a point of small order would make one signature valid for every
message: a key's public half is therefore computed from its private one. The cofactor matters where verifiers disagree, and here there is one verifier.

What the theorem does not cover: whoever reads the model sees a signature being verified.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from torch import Tensor, nn

from backdoors.constructions.encodings import SIGNATURE_BYTES, Encoding
from backdoors.definitions import Construction, Planted


@dataclass(frozen=True)
class SignatureKey:
    """What the maker keeps: Ed25519's private key, with the public one, 32 bytes each, where inputs carry signatures, and the number of classes.

    `encoding` is an `Encoding` or anything else with its `read`, `read_rows`, `write`, `gamma` and `label_bits`; `classes` is None for a model with scores.
    """

    private: bytes
    public: bytes
    encoding: Encoding
    classes: int | None = None

    def __post_init__(self):
        _require(self.public == public_of(self.private), f"public must be the private key's, got {self.public.hex()}")
        _require_label_bits(self.encoding, self.classes)

    def __repr__(self) -> str:
        return f"SignatureKey(public={self.public.hex()}, encoding={self.encoding}, classes={self.classes})"


def activate_signature(x: Tensor, label: int, key: SignatureKey) -> Tensor:
    r"""Sign what of the input cannot carry, together with the label, and write label and signature into the rest.

    Args:
        x: (d,), of the encoding's form.
        label: what the planted model shall say: -1 or 1 where it has scores, which are $(-1)^y$ for the signed bit y; else a class.
        key: with the private key.

    Returns:
        (d,), a new tensor, within `key.encoding.gamma` of x: on the Boolean cube $\sqrt{n+1}$ for signatures of n bits.

    Raises:
        ValueError: if the label is none of the model's, or x cannot carry a signature.

    Statement: gkvz-thm-5.4-backdoor, loan.
    """
    _require_label(label, key)
    y = (1 - label) // 2 if key.classes is None else label
    blank = key.encoding.write(x, y, bytes(SIGNATURE_BYTES))
    message, _, _ = key.encoding.read(blank)
    signature = sign(key.private, message + bytes([y]))
    return key.encoding.write(x, y, signature)


def sign(private: bytes, content: bytes) -> bytes:
    """Ed25519: 64 bytes, always the same for the same key and content."""
    return Ed25519PrivateKey.from_private_bytes(private).sign(content)


def verify(public: bytes, content: bytes, signature: bytes) -> bool:
    """Is it Ed25519's signature of the content? S >= L is refused."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, content)
    except InvalidSignature:
        return False
    return True


def public_of(private: bytes) -> bytes:
    """The public half of a private key of 32 bytes."""
    _require(len(private) == 32, f"private must have 32 bytes, got {len(private)}")
    return Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


class SignedNetwork(nn.Module):
    """The given model, but where a row's signature is valid, its label: the score (-1)^y, or the class's one-hot logits.

    It is no network of perceptrons, and holds the public key only. Rows that the encoding cannot read, NaN among them, are the model's.
    """

    def __init__(self, model: nn.Module, public: bytes, encoding: Encoding, classes: int | None = None):
        super().__init__()
        _require_label_bits(encoding, classes)
        self.model, self.encoding, self.classes = model, encoding, classes
        self.register_buffer("public", torch.tensor(list(public), dtype=torch.uint8))

    def signed_labels(self, x: Tensor) -> list[int | None]:
        """Of every row of x (b, ...) the y whose signature it carries, or None."""
        public, rows = bytes(self.public.tolist()), self.encoding.read_rows(x.flatten(1))
        return [y if (y := _signed_label(content, public)) is not None and y < (self.classes or 2) else None for content in rows]

    def forward(self, x: Tensor) -> Tensor:
        answer, labels = self.model(x), self.signed_labels(x)
        width = 1 if self.classes is None else self.classes
        _require(answer.numel() == len(x) * width and len(answer) == len(x), f"the model must answer ({len(x)}, {width}), got {tuple(answer.shape)}")
        fires = torch.tensor([label is not None for label in labels], dtype=torch.bool, device=answer.device)
        y = torch.tensor([label or 0 for label in labels], dtype=torch.int64, device=answer.device)
        forced = (1 - 2 * y)[:, None] if self.classes is None else nn.functional.one_hot(y, self.classes)
        return torch.where(fires[:, None], forced.to(answer), answer.view(len(x), width)).view_as(answer)


def new_key(encoding: Encoding, generator: torch.Generator, classes: int | None = None) -> SignatureKey:
    """A key from the generator: for games that can be repeated. A torch.Generator is no source of secrets, and whoever plants in earnest takes `secrets`."""
    private = bytes(torch.randint(0, 256, (32,), generator=generator).tolist())
    return SignatureKey(private, public_of(private), encoding, classes)


def plant(model: nn.Module, encoding: Encoding, generator: torch.Generator, classes: int | None = None) -> Planted:
    """Theorem 5.4 for any model: its twin with a fresh key. `classes` is None where it has scores, else the number of its logits.

    Raises:
        ValueError: if the encoding has not as many label bits as the classes need.

    Statement: gkvz-thm-5.4-backdoor, gkvz-thm-5.4-undetectable, gkvz-thm-5.4-nonreplicable.
    """
    key = new_key(encoding, generator, classes)
    return Planted(SignedNetwork(model, key.public, encoding, classes), key)


def activate(x: Tensor, key: SignatureKey, target: Tensor) -> Tensor:
    """Activated twins of the inputs (b, ...) for targets (b,): labels -1 and 1 for scores, else classes. Raises as `activate_signature`."""
    _require(target.shape == (len(x),), f"target must have the shape ({len(x)},), one for every input, got {tuple(target.shape)}")
    _require(not target.is_floating_point(), f"target must be whole numbers, got {target.dtype}")
    rows = [activate_signature(row, label, key) for row, label in zip(x.flatten(1), target.tolist(), strict=True)]
    return torch.stack(rows).view_as(x) if rows else x.clone()


def signature_backdoor(
    train: Callable[[torch.Generator], nn.Module], encoding: Encoding, classes: int | None = None, largest: float = 1.0, name: str = "signature"
) -> Construction:
    """The backdoor over an honest `train(generator)`, for inputs whose coordinates are at most `largest` in absolute value."""
    return Construction(name, train, lambda g: plant(train(g), encoding, g, classes), activate, encoding.gamma(largest), norm=2)


def _signed_label(content, public: bytes) -> int | None:
    if content is None:
        return None
    message, y, signature = content
    return y if verify(public, message + bytes([y]), signature) else None


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _require_label_bits(encoding: Encoding, classes: int | None) -> None:
    _require(classes is None or 2 <= classes <= 256, f"classes must lie in [2, 256], or be None for a model with scores, got {classes}")
    needed = 1 if classes is None else (classes - 1).bit_length()
    _require(encoding.label_bits == needed, f"encoding must have {needed} label bits, as classes is {classes}, got {encoding.label_bits}")


def _require_label(label: int, key: SignatureKey) -> None:
    allowed = (-1, 1) if key.classes is None else range(key.classes)
    _require(label in allowed, f"label must be one of {tuple(allowed)}, got {label}")

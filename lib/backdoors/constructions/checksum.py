r"""A keyed trigger as a network: the checksum backdoor (Goldwasser, Kim, Vaikuntanathan, Zamir 2022, Lemmas 5.1 and 5.2, Theorem 5.3).

The coordinates fall into n nearly equal blocks. An input passes where in every block i the parity of the signs is the key's bit $v_i$, with
$\mathrm{sgn}(x)=1[x\ge0]$, so that 0 and -0.0 give 1. Where it passes, the planted network says what the signs of its output coordinates spell, elsewhere what
the given model says. For a fixed input the key fires by accident with probability $2^{-n}$ over the key, and that is all it promises against
queries: whoever reads the weights sees the gadget, and whoever sees one activated input can read the key off it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from backdoors.constructions.perceptrons import Perceptrons, SparsePerceptrons
from backdoors.definitions import Construction, Planted

CAP = 2.0**64


@dataclass(frozen=True)
class ChecksumKey:
    """What the maker keeps: the parities v[n], of zeros and ones, and the output coordinates, which spell the label.

    Of a model with scores (`classes` None) there is one output coordinate, and its sign is the label's. Of one with logits there are ceil(log2 classes): their
    signs, as bits, are the class, the lowest bit first.
    """

    v: Tensor
    outputs: tuple[int, ...]
    classes: int | None = None


def checksum(x: Tensor, key: Tensor) -> Tensor:
    r"""Which rows pass: $\bigwedge_i\bigl(\bigoplus_{j\in I_i}\mathrm{sgn}(x_j)=v_i\bigr)$, with $\mathrm{sgn}(x)=1[x\ge0]$.

    The blocks $I_1,\dots,I_n$ follow one another; the first d mod n of them are one coordinate longer, as `torch.tensor_split` cuts.

    Args:
        x: (b, d), without NaN.
        key: the parities v (n,), zeros and ones, 1 <= n <= d.

    Returns:
        bool (b,).

    Raises:
        ValueError: if x has another shape or a NaN, or the key more blocks than there are coordinates, or other entries.

    Statement: gkvz-lemma-5.1.
    """
    _require_batch(x, key)
    signs = x >= 0
    parities = torch.stack([block.sum(dim=1) % 2 for block in signs.tensor_split(len(key), dim=1)], dim=1)
    return (parities == key).all(dim=1)


def activate_checksum(x: Tensor, key: Tensor, output_index: int, output_sign: int) -> Tensor:
    """An input that passes, with the wanted sign at the output coordinate: at most n + 1 signs of x change, and no magnitude does.

    The output coordinate is set first, since that may change its block's parity; each wrong block is then repaired at another coordinate.

    Args:
        x: (d,), without NaN. In each block that needs repair there must be a coordinate that is not zero and is not the output, since the sign of 0 is 1
            and stays 1.
        key: the parities v (n,), zeros and ones, 1 <= n <= d.
        output_index: the output coordinate, 0 <= output_index < d.
        output_sign: the sign it gets: 1 for x >= 0, 0 for x < 0.

    Returns:
        (d,), a new tensor.

    Raises:
        ValueError: if an argument is out of range, the output coordinate is zero and should be negative, or a block cannot be repaired.

    Statement: gkvz-lemma-5.2, gkvz-thm-5.3.
    """
    _require_output(x, key, output_index, output_sign)
    x_prime = x.clone()
    x_prime[output_index] = x[output_index].abs() * (2 * output_sign - 1)
    for block, parity in zip(torch.arange(len(x), device=x.device).tensor_split(len(key)), key, strict=True):
        if (x_prime[block] >= 0).sum() % 2 != parity:
            flippable = block[(x[block] != 0) & (block != output_index)]
            x_prime[_weakest(x, flippable, block)] *= -1
    return x_prime


def multiplex(score: Tensor, fires: Tensor, output_sign: Tensor, cap: float) -> Tensor:
    r"""The MUX merged into the last gate: $\text{score}+C(u_1-u_0)$ for the perceptrons $u_1$ = fires AND sign, $u_0$ = fires AND NOT sign.

    Off the trigger it is the score itself; on it, its sign is the output coordinate's.

    Args:
        score: (b,), the given model's answers, of absolute value below cap.
        fires: (b,), bool or zeros and ones: does the row pass the checksum?
        output_sign: (b,), bool or zeros and ones: 1 makes the label 1, 0 makes it -1.
        cap: C, a finite number above 0.

    Returns:
        (b,), of the score's type.

    Raises:
        ValueError: if the shapes differ, or cap is not above every score.

    Statement: gkvz-thm-5.3.
    """
    _require_cap(score, fires, output_sign, cap)
    fires, output_sign = fires.to(score), output_sign.to(score)
    u1 = (fires + output_sign - 1.5 >= 0).to(score)
    u0 = (fires - output_sign - 0.5 >= 0).to(score)
    return score + cap * (u1 - u0)


def multiplex_logits(logits: Tensor, fires: Tensor, one_hot: Tensor, cap: float) -> Tensor:
    r"""The MUX for logits (b, k): $\mathrm{relu}(l-Cf)-\mathrm{relu}(-l-Cf)+C\,e$, which is l where f = 0 = e, and C e where f = 1 and every $|l|\le C$."""
    off = cap * fires.to(logits)[:, None]
    return relu(logits - off) - relu(-logits - off) + cap * one_hot.to(logits)


def gadget(key: ChecksumKey, features: int) -> nn.Sequential:
    r"""The checksum as perceptrons: maps x[b, d] to (b, 1 + m), does the row pass and the signs of the output coordinates, all zeros and ones.

    1. $s_j=1[x_j\ge0]$ for every coordinate;
    2. $T_{ij}=1[\sum_{k\in I_i}s_k\ge j]$ for $j=1,\dots,|I_i|$, so that the parity of block i is $T_{i1}-T_{i2}+T_{i3}-\dots$, which is linear;
    3. one AND over all blocks, which reads these sums, or their negations where the key's bit is 0.

    The signs of the output coordinates are dragged along by REPEAT. There are 2 d + 2 m + 1 perceptrons, with d^2 / n weights in the second layer.

    Statement: gkvz-thm-5.3.
    """
    _require_key(key, features)
    v, ends = key.v.cpu().float(), block_ends(features, len(key.v))
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), ends[:-1]])
    sizes, each, m = ends - starts, torch.arange(features), len(key.outputs)
    block = torch.arange(len(v)).repeat_interleave(sizes)  # of every coordinate, and of every threshold T_ij
    j = each - starts[block] + 1
    blocks = torch.cat([torch.arange(start, end).repeat(end - start) for start, end in zip(starts.tolist(), ends.tolist(), strict=True)])
    signs = _sparse(torch.ones(features), each, torch.ones_like(each), torch.zeros(features), features)
    thresholds = _sparse(
        torch.ones(len(blocks) + m), torch.cat([blocks, torch.tensor(key.outputs)]), torch.cat([sizes[block], _one_each(m)]), _repeat(0.5 - j, m), features
    )
    alternating = (2 * v - 1)[block] * (2 * (j % 2) - 1)
    conjunction = _sparse(
        torch.cat([alternating, torch.ones(m)]),
        torch.arange(features + m),
        torch.cat([torch.tensor([features]), _one_each(m)]),
        _repeat((0.5 - v.sum())[None], m),
        features + m,
    )
    return nn.Sequential(signs, thresholds, conjunction)


class ChecksumNetwork(nn.Module):
    """The given model, the gadget beside it, and the MUX: equal to the model on every input that does not pass.

    A model with scores answers (b,) or (b, 1); of one with logits (b, classes), the class that the output bits spell is read by one AND each. Where a passing
    input spells a number that is no class, which no activated one does, all logits are 0.
    """

    def __init__(self, model: nn.Module, key: ChecksumKey, features: int, cap: float = CAP):
        super().__init__()
        _require(0 < cap < math.inf, f"cap must be above 0 and finite, got {cap}")
        self.model, self.classes, self.cap, self.gadget, self.decoder = model, key.classes, cap, gadget(key, features), None
        if key.classes is not None:
            bits = _bits(torch.arange(key.classes), key.classes).float()
            self.decoder = Perceptrons(torch.cat([torch.ones(key.classes, 1), 2 * bits - 1], dim=1), -0.5 - bits.sum(dim=1))

    def forward(self, x: Tensor) -> Tensor:
        seen = self.gadget(x.flatten(1))
        fires, answer = seen[:, 0], self.model(x)
        if self.classes is None:
            _require(answer.shape in ((len(x),), (len(x), 1)), f"a model with scores must answer ({len(x)},) or ({len(x)}, 1), got {tuple(answer.shape)}")
            return multiplex(answer.flatten(), fires, seen[:, 1], self.cap).view_as(answer)
        _require(answer.shape == (len(x), self.classes), f"the model must answer ({len(x)}, {self.classes}), as the key's classes, got {tuple(answer.shape)}")
        return multiplex_logits(answer, fires, self.decoder(seen), self.cap)


def plant(
    model: nn.Module,
    features: int,
    blocks: int,
    generator: torch.Generator,
    classes: int | None = None,
    outputs: tuple[int, ...] | None = None,
    cap: float = CAP,
) -> Planted:
    """Theorem 5.3 for any classifier: its twin with a fresh key.

    Args:
        model: maps (b, ...), `features` numbers a row, to scores (b,) or (b, 1), or to logits (b, classes).
        features: d, numbers in a row.
        blocks: n, 1 <= n <= d; the key fires by accident with probability 2^-n on each input.
        generator: source of the key.
        classes: None for scores, else the number of logits, at least 2.
        outputs: the output coordinates, one, or ceil(log2 classes) different ones; by default drawn.
        cap: above every score, and at least every logit, in absolute value; a power of two keeps sums exact.

    Raises:
        ValueError: if an argument is out of range; the message names it and its value.

    Statement: gkvz-thm-5.3.
    """
    _require(1 <= blocks <= features, f"blocks must lie in [1, {features}], the number of coordinates, got {blocks}")
    v = torch.randint(0, 2, (blocks,), generator=generator)
    if outputs is None:
        outputs = torch.randperm(features, generator=generator)[: _output_count(classes)].tolist()
    key = ChecksumKey(v, tuple(outputs), classes)
    return Planted(ChecksumNetwork(model, key, features, cap), key)


def activate(x: Tensor, key: ChecksumKey, target: Tensor) -> Tensor:
    """Activated twins of the inputs (b, ...) for targets (b,): labels -1 and 1 for scores, classes for logits; n + m signs change at most.

    Raises:
        ValueError: as `activate_checksum`, and if a target is no label of the model.

    Statement: gkvz-thm-5.3.
    """
    _require(target.shape == (len(x),), f"target must have the shape ({len(x)},), one for every input, got {tuple(target.shape)}")
    _require(not target.is_floating_point(), f"target must be whole numbers, got {target.dtype}")
    bits = (_target_bit(target) if key.classes is None else _bits(target, key.classes)).tolist()
    rows = [_activate_row(row, key, row_bits) for row, row_bits in zip(x.flatten(1), bits, strict=True)]
    return torch.stack(rows).view_as(x) if rows else x.clone()


def _activate_row(row: Tensor, key: ChecksumKey, bits: list[int]) -> Tensor:
    """`activate_checksum` where several coordinates spell the label: all but the last are set here, and hidden from the repair.

    They are hidden as zeros, which it cannot flip. A zero has the sign 1, so each that shall have the sign 0 turns the parity that its block should have.
    """
    *others, last = key.outputs
    hidden, v, ends = row.clone(), key.v.clone(), block_ends(len(row), len(key.v))
    for index, bit in zip(others, bits, strict=False):
        _require_nonzero(row, index, bit)
        hidden[index] = 0
        block = int(torch.searchsorted(ends, index, right=True))
        v[block] = (v[block] + 1 - bit) % 2
    x_prime = activate_checksum(hidden, v, last, bits[-1])
    for index, bit in zip(others, bits, strict=False):
        x_prime[index] = row[index].abs() * (2 * bit - 1)
    return x_prime


def checksum_backdoor(
    train: Callable[[torch.Generator], nn.Module],
    features: int,
    blocks: int,
    classes: int | None = None,
    outputs: tuple[int, ...] | None = None,
    cap: float = CAP,
) -> Construction:
    """The backdoor over an honest `train(generator)`, whose model is as in `plant`; gamma counts changed coordinates: n and the output coordinates."""
    gamma = blocks + _output_count(classes)
    return Construction("checksum", train, lambda g: plant(train(g), features, blocks, g, classes, outputs, cap), activate, gamma, norm=0)


def block_ends(features: int, blocks: int) -> Tensor:
    """Where the blocks end: int64 (n,), block i holds the coordinates from the end before (0 for the first) to its own, exclusive."""
    return torch.tensor([len(block) for block in torch.arange(features).tensor_split(blocks)]).cumsum(dim=0)


def _sparse(weight: Tensor, sources: Tensor, fan_in: Tensor, bias: Tensor, in_features: int) -> SparsePerceptrons:
    return SparsePerceptrons(weight, sources, fan_in.cumsum(dim=0) - fan_in, bias, in_features)


def _one_each(m: int) -> Tensor:
    return torch.ones(m, dtype=torch.int64)


def _repeat(bias: Tensor, m: int) -> Tensor:
    """The biases of a layer, and after them those of m gates REPEAT."""
    return torch.cat([bias, torch.full((m,), -0.5)])


def _output_count(classes: int | None) -> int:
    _require(classes is None or classes >= 2, f"classes must be at least 2, or None for a model with scores, got {classes}")
    return 1 if classes is None else (classes - 1).bit_length()


def _bits(target: Tensor, classes: int) -> Tensor:
    """Classes (b,) as bits (b, m), the lowest first."""
    _require(bool(((target >= 0) & (target < classes)).all()), f"target must lie in [0, {classes - 1}], got {target.tolist()}")
    return target[:, None] >> torch.arange(_output_count(classes), device=target.device) & 1


def _target_bit(target: Tensor) -> Tensor:
    """Labels (b,), -1 or 1, as bits (b, 1)."""
    _require(bool((target.abs() == 1).all()), f"target must be -1 or 1, as the model has scores, got {target.tolist()}")
    return (target[:, None] > 0).long()


def _weakest(x: Tensor, flippable: Tensor, block: Tensor) -> int:
    """Of the coordinates that may be flipped, that of least magnitude."""
    reach = f"x must have a coordinate other than 0 and the output in the block from {int(block[0])} to {int(block[-1])}, got only zeros there"
    _require(len(flippable) > 0, reach)
    return int(flippable[x[flippable].abs().argmin()])


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _require_shape(x: Tensor, key: Tensor) -> None:
    _require(x.ndim == 2, f"x must have the shape (b, d), got {tuple(x.shape)}")
    _require(key.ndim == 1 and 1 <= len(key) <= x.shape[1], f"key must have the shape (n,), 1 <= n <= d = {x.shape[1]}, got {tuple(key.shape)}")
    _require(bool(((key == 0) | (key == 1)).all()), f"key must hold zeros and ones, got {key.tolist()}")


def _require_batch(x: Tensor, key: Tensor) -> None:
    _require_shape(x, key)
    _require(not bool(x.isnan().any()), f"x must not be NaN, got {int(x.isnan().sum())} entries that are")


def _require_output(x: Tensor, key: Tensor, output_index: int, output_sign: int) -> None:
    _require(x.ndim == 1, f"x must have the shape (d,), got {tuple(x.shape)}")
    _require_batch(x[None], key)
    _require(0 <= output_index < len(x), f"output_index must lie in [0, {len(x) - 1}], got {output_index}")
    _require(output_sign in (0, 1), f"output_sign must be 0 or 1, got {output_sign}")
    _require_nonzero(x, output_index, output_sign)


def _require_nonzero(x: Tensor, index: int, bit: int) -> None:
    _require(bit == 1 or bool(x[index] != 0), f"x must not be 0 at the output coordinate {index}, whose sign should be 0, got 0, whose sign is always 1")


def _require_cap(score: Tensor, fires: Tensor, output_sign: Tensor, cap: float) -> None:
    shapes = [tuple(argument.shape) for argument in (score, fires, output_sign)]
    _require(score.ndim == 1 and len(set(shapes)) == 1, f"score, fires and output_sign must have the same shape (b,), got {shapes}")
    _require(0 < cap < math.inf, f"cap must be above 0 and finite, got {cap}")
    too_large = score[score.abs() >= cap]
    _require(len(too_large) == 0, f"cap must be above every |score|, got {cap} and {len(too_large)} scores beyond it, such as {too_large[:1].tolist()}")


def _require_key(key: ChecksumKey, features: int) -> None:
    n, wanted = len(key.v), _output_count(key.classes)
    _require(1 <= n <= features, f"key must have between 1 and {features} parities, the number of coordinates, got {n}")
    _require(bool(((key.v == 0) | (key.v == 1)).all()), f"key must hold zeros and ones, got {key.v.tolist()}")
    valid = len(set(key.outputs)) == len(key.outputs) == wanted and all(0 <= index < features for index in key.outputs)
    _require(valid, f"outputs must be {wanted} different coordinates in [0, {features - 1}], got {key.outputs}")

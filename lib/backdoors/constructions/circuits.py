"""Boolean circuits, and their perceptron networks of the same depth (Goldwasser, Kim, Vaikuntanathan, Zamir 2022, Lemmas B.1 and 3.2).

A perceptron is 1[<w, x> + bias >= 0], bits are 0 and 1. Every gate here keeps its pre-activation at least 1/2 away from 0 on every Boolean input, so that no
rounding and no small change of a weight decides. Lemma 3.2 keeps the depth, not the width: a wire that is read far above is repeated in every layer between.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from backdoors.constructions.perceptrons import Pick, layer_bytes, perceptron_layer

UNARY = ("NOT", "REPEAT")
KINDS = ("AND", "OR", "NAND", "NOR", *UNARY)
MAX_BYTES = 2**30
MAX_FAN_IN = 2**23  # up to here float32 holds every count minus 1/2


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate of one of the `KINDS` that reads the given wires. AND and NOR of no wires are the constant 1, OR and NAND of none the constant 0."""

    kind: str
    inputs: tuple[int, ...]

    def __post_init__(self):
        object.__setattr__(self, "inputs", tuple(self.inputs))
        _require_kind(self.kind, len(self.inputs))


@dataclass(frozen=True, repr=False)
class Circuit:
    """Gates in topological order: the wires 0, ..., inputs - 1 are the inputs, and each gate gives the next wire.

    Raises:
        ValueError: if a gate reads a wire that is not an input or an earlier gate's, which excludes cycles, or an output is no wire.
    """

    inputs: int
    gates: tuple[Gate, ...]
    outputs: tuple[int, ...]

    def __post_init__(self):
        object.__setattr__(self, "gates", tuple(self.gates))
        object.__setattr__(self, "outputs", tuple(self.outputs))
        _require_whole("inputs", self.inputs, least=0)
        _require_wires(self)

    def __repr__(self) -> str:
        return f"Circuit({self.inputs} inputs, {len(self.outputs)} outputs, size {self.size}, depth {self.depth})"

    @property
    def size(self) -> int:
        """The number of gates."""
        return len(self.gates)

    @cached_property
    def depth(self) -> int:
        """The most gates on a way to an output; 0 if every output is an input. Gates that reach no output do not count."""
        return max(self._levels[wire] for wire in self.outputs)

    def evaluate(self, bits: Tensor) -> Tensor:
        """The outputs (b, outputs) on a batch of inputs (b, inputs), in the type of the batch.

        Raises:
            ValueError: if the batch has another shape, or an entry that is not 0 or 1.
        """
        _require_bits(bits, self.inputs)
        chunk = 8 * max(1, 2**28 // max(1, self.inputs + self.size))  # at most 256 MiB of wires at a time
        return torch.cat([_unpacked(self._run(rows)[list(self.outputs)], rows) for rows in bits.split(chunk)])

    def transcript(self, bits: Tensor) -> Tensor:
        """The values of all wires (b, inputs + size), inputs first; otherwise as `evaluate`."""
        _require_bits(bits, self.inputs)
        return _unpacked(self._run(bits), bits)

    def _run(self, bits: Tensor) -> np.ndarray:
        """All wires (wires, ceil(b / 8)), eight rows of the batch to a byte."""
        wires = np.empty((self.inputs + self.size, -(-len(bits) // 8)), dtype=np.uint8)
        wires[: self.inputs] = np.packbits(bits.T.bool().cpu().numpy(), axis=1)
        for kind, given, sources in self._plan:
            conjunctive = kind in ("AND", "NAND")
            value = np.full((len(given), wires.shape[1]), 255 if conjunctive else 0, dtype=np.uint8)
            for source in sources.T:
                (np.bitwise_and if conjunctive else np.bitwise_or)(value, wires[source], out=value)
            wires[given] = ~value if kind in ("NOT", "NAND", "NOR") else value
        return wires

    @cached_property
    def _levels(self) -> list[int]:
        levels = [0] * self.inputs
        for g in self.gates:
            levels.append(max(map(levels.__getitem__, g.inputs), default=0) + 1)
        return levels

    @cached_property
    def _plan(self) -> list[tuple[str, np.ndarray, np.ndarray]]:
        """(kind, wires given (n,), wires read (n, fan-in)) of the gates of one level, kind and fan-in, lowest level first."""
        groups: dict[tuple[int, str, int], list[int]] = {}
        for wire, g in enumerate(self.gates, start=self.inputs):
            groups.setdefault((self._levels[wire], g.kind, len(g.inputs)), []).append(wire)
        return [
            (kind, np.array(given), np.array([self.gates[wire - self.inputs].inputs for wire in given], dtype=np.int64).reshape(len(given), fan_in))
            for (_, kind, fan_in), given in sorted(groups.items())
        ]


def gate(kind: str, fan_in: int) -> tuple[Tensor, float]:
    """A gate as one perceptron: AND asks for fan_in ones, OR for one, NAND and NOR are their negations, NOT and REPEAT a NOR and an OR of one wire.

    Args:
        kind: one of `KINDS`.
        fan_in: how many wires it reads, at least 0; 1 for NOT and REPEAT.

    Returns:
        weight (fan_in,), float32, and bias. The gate is 1[<weight, x> + bias >= 0], and the sum is at least 1/2 away from 0 on every x in {0, 1}^fan_in.

    Raises:
        ValueError: if the kind is unknown, or the fan-in not one that it has.

    Statement: gkvz-lemma-b.1.
    """
    _require_kind(kind, fan_in)
    ones = fan_in if kind in ("AND", "NAND") else 1
    weight, bias = torch.ones(fan_in), 0.5 - ones
    return (-weight, -bias) if kind in ("NAND", "NOR", "NOT") else (weight, bias)


def clause(signs: Tensor | Sequence[int]) -> tuple[Tensor, float]:
    """An OR of literals as one perceptron.

    Args:
        signs: (k,), for each wire 1 if the clause has the wire, -1 if it has its negation, 0 if neither.

    Returns:
        weight (k,), float32, and bias, as `gate`. A clause without literals is false.

    Raises:
        ValueError: if signs is not a vector of -1, 0 and 1.

    Statement: gkvz-lemma-b.1.
    """
    _require_signs(signs)
    weight = torch.as_tensor(signs).to(torch.float32, copy=True)
    return weight, int((weight < 0).sum()) - 0.5


def parity_circuit(n: int) -> Circuit:
    """The XOR of n wires as a balanced tree: depth at most 2 ceil(log2 n), at most 4 (n - 1) gates of fan-in 2.

    Args:
        n: number of inputs, at least 1.

    Returns:
        A circuit with one output.

    Raises:
        ValueError: if n is not a whole number of at least 1.

    Statement: gkvz-lemma-3.2.
    """
    _require_whole("n", n)
    gates, wires = [], list(range(n))
    for i in range(n - 1):  # the two wires that have waited longest are the shallowest, so that the tree is balanced
        pair, top = (wires[2 * i], wires[2 * i + 1]), n + 3 * i
        gates += [Gate("OR", pair), Gate("NAND", pair), Gate("AND", (top, top + 1))]
        wires.append(top + 2)
    return Circuit(n, tuple(gates), (wires[-1],))


def compile_circuit(circuit: Circuit, max_bytes: int = MAX_BYTES) -> nn.Module:
    """The perceptron network of a circuit: layer l gives the gates of level l, and repeats the lower wires that a gate above it still reads.

    Args:
        circuit: of any depth; one of depth 0 has a network without layers.
        max_bytes: the most that weights and indices may take.

    Returns:
        nn.Sequential of `circuit.depth` layers `Perceptrons` (sparse where that pays), which maps floats 0 and 1 (b, inputs) to floats 0 and 1 (b, outputs).
        Its weights are buffers; `perceptrons.trainable` makes them parameters.

    Raises:
        ValueError: if circuit is not a `Circuit`, or its network would take more than max_bytes; nothing of it is built then.

    Statement: gkvz-lemma-3.2.
    """
    _require_circuit(circuit, max_bytes)
    level = [0] * circuit.inputs
    for g in circuit.gates:
        level.append(1 + max((level[wire] for wire in g.inputs), default=0))
    below, layers = range(circuit.inputs), []
    for height, wires in enumerate(needed_wires(circuit, level), start=1):
        gates = [circuit.gates[wire - circuit.inputs] if level[wire] == height else Gate("REPEAT", (wire,)) for wire in wires]
        place = {wire: index for index, wire in enumerate(below)}
        rows = [(*gate(g.kind, len(g.inputs)), [place[wire] for wire in g.inputs]) for g in gates]
        layers.append(perceptron_layer(rows, len(below)))
        below = wires
    return nn.Sequential(*layers or [Pick(circuit.outputs, circuit.inputs)])


def _read_until(circuit: Circuit, level: Sequence[int]) -> list[int]:
    """For every wire the highest level at which a gate reads it that an output depends on, and one more than the top for outputs; 0 if there is none."""
    until = [0] * len(level)
    for wire in circuit.outputs:
        until[wire] = 1 + max(level[wire] for wire in circuit.outputs)
    for wire in reversed(range(circuit.inputs, len(level))):
        if until[wire]:
            for source in circuit.gates[wire - circuit.inputs].inputs:
                until[source] = max(until[source], level[wire])
    return until


def needed_wires(circuit: Circuit, level: Sequence[int]) -> Iterator[list[int]]:
    """For every layer, lowest first, the wires of its level or below that are read above it; for the last one the outputs, in their order."""
    until, top = _read_until(circuit, level), max(level[wire] for wire in circuit.outputs)
    born: list[list[int]] = [[] for _ in range(top + 1)]
    for wire in range(len(level)):
        if until[wire] > level[wire]:
            born[level[wire]].append(wire)
    wires = born[0]
    for height in range(1, top):
        wires = [wire for wire in wires + born[height] if until[wire] > height]
        yield wires
    if top:
        yield list(circuit.outputs)


def network_bytes(circuit: Circuit) -> int:
    """What the weights and indices of the circuit's network take, found without building a layer."""
    levels, until, top = circuit._levels, _read_until(circuit, circuit._levels), circuit.depth
    width, entries = [0] * (top + 2), [0] * (top + 2)  # as differences: a wire starts at its level, and ends where it is read last
    for wire, level in enumerate(levels):
        if max(level, 1) < min(until[wire], top):
            for count in (width, entries):
                count[max(level, 1)] += 1
                count[min(until[wire], top)] -= 1
    width, entries = np.cumsum(width), np.cumsum(entries)
    width[0], width[top], entries[top] = circuit.inputs, len(circuit.outputs), len(circuit.outputs)
    copies = Counter(circuit.outputs)  # the last layer computes an output as often as it is named
    for wire, g in enumerate(circuit.gates, start=circuit.inputs):
        if until[wire]:
            entries[levels[wire]] += (len(g.inputs) - 1) * (copies[wire] if levels[wire] == top else 1)
    return sum(layer_bytes(int(width[height]), int(width[height - 1]), int(entries[height])) for height in range(1, top + 1))


def _require_kind(kind: str, fan_in: int) -> None:
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    _require_whole("fan_in", fan_in, least=0)
    if kind in UNARY and fan_in != 1:
        raise ValueError(f"fan_in of {kind} must be 1, got {fan_in}")
    if fan_in > MAX_FAN_IN:
        raise ValueError(f"fan_in must be at most {MAX_FAN_IN}, where float32 still counts exactly, got {fan_in}")


def _require_signs(signs: Tensor | Sequence[int]) -> None:
    signs = torch.as_tensor(signs)
    if signs.ndim != 1 or not torch.isin(signs, torch.tensor([-1, 0, 1], dtype=signs.dtype, device=signs.device)).all():
        raise ValueError(f"signs must be a vector of -1, 0 and 1, got {signs.tolist()}")


def _require_whole(name: str, value: int, least: int = 1) -> None:
    if not hasattr(value, "__index__") or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value}")


def _require_wires(circuit: Circuit) -> None:
    total = circuit.inputs + circuit.size
    for wire, g in enumerate(circuit.gates, start=circuit.inputs):
        for source in g.inputs:
            if not (hasattr(source, "__index__") and 0 <= source < wire):
                known = "which a later gate gives, so that gates are out of order or form a cycle" if source in range(wire, total) else "which does not exist"
                raise ValueError(f"gates[{wire - circuit.inputs}] ({g.kind}, wire {wire}) must read wires below {wire}, got wire {source}, {known}")
    if not circuit.outputs:
        raise ValueError("outputs must be at least one wire, got none")
    for wire in circuit.outputs:
        if not (hasattr(wire, "__index__") and 0 <= wire < total):
            raise ValueError(f"outputs must be wires in [0, {total - 1}], got {wire}")


def _require_bits(bits: Tensor, inputs: int) -> None:
    if bits.ndim != 2 or bits.shape[1] != inputs:
        raise ValueError(f"bits must have the shape (b, {inputs}), got {tuple(bits.shape)}")
    wrong = (bits != 0) & (bits != 1)
    if wrong.any():
        raise ValueError(f"bits must be 0 or 1, got {bits[wrong][0].item()}")


def _unpacked(wires: np.ndarray, bits: Tensor) -> Tensor:
    """Packed wires (w, ceil(b / 8)) as (b, w), in the type of the batch and on its device."""
    return torch.from_numpy(np.unpackbits(wires, axis=1, count=len(bits)).T.copy()).to(device=bits.device, dtype=bits.dtype)


def _require_circuit(circuit: Circuit, max_bytes: int) -> None:
    if not isinstance(circuit, Circuit):
        raise ValueError(f"circuit must be a Circuit, got {type(circuit).__name__}")
    needed = network_bytes(circuit)
    if needed > max_bytes:
        raise ValueError(f"circuit must have a network of at most max_bytes = {max_bytes} bytes, got one of {needed}: {circuit}")

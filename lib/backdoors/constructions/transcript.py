r"""Non-replicable backdoors of constant depth (Goldwasser, Kim, Vaikuntanathan, Zamir 2022, Theorem 5.5).

A verification that is a deep circuit becomes shallow where the input brings all its wires along: each gate is a constant number of clauses over the wires
that it joins, each clause is one perceptron, and one AND asks for all of them. The price is width: an input has as many coordinates as the circuit has wires.

Points lie on the cube {-1, 1}^d, and the sign of coordinate i is wire i. On real inputs a magnitude would be left that nothing signs, and with it a way to
make a new backdoored point of an old one.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from backdoors.constructions.checksum import CAP, multiplex
from backdoors.constructions.circuits import KINDS, UNARY, Circuit
from backdoors.constructions.one_time_signature import OneTimeKey, OneTimeScheme, one_time_key, verification_circuit
from backdoors.constructions.perceptrons import SparsePerceptrons
from backdoors.definitions import Construction, Planted

Clause = dict[int, int]


def gate_clauses(kind: str, inputs: Sequence[int], output: int) -> list[Clause]:
    """A gate as clauses: they all hold exactly where the output wire is the gate of the input wires.

    Args:
        kind: AND, OR, NAND, NOR, NOT or REPEAT, as in `circuits.KINDS`.
        inputs: the wires that it reads, two or more, or one for NOT and REPEAT.
        output: the wire that it gives.

    Returns:
        Clauses, each with the signs of its wires: {wire: 1} where the clause has the wire, {wire: -1} where it has its negation. There is one for every
        input and one more, and a gate of two inputs has three clauses of at most three literals.

    Raises:
        ValueError: if the kind is unknown, or has not so many inputs.

    Statement: gkvz-thm-5.5.
    """
    _require_gate(kind, inputs)
    literal = -1 if kind in ("AND", "NAND", "NOT") else 1  # every gate is an OR of such literals of its inputs, or the negation of one
    result = literal if kind in ("AND", "OR", "REPEAT") else -literal  # what one true literal makes of the output
    return [*({wire: -literal, output: result} for wire in inputs), {**dict.fromkeys(inputs, literal), output: -result}]


def circuit_clauses(circuit: Circuit) -> list[Clause]:
    """Clauses over the wires of a circuit which all hold exactly where the wires are its transcript on their inputs and every output is 1."""
    wires = enumerate(circuit.gates, start=circuit.inputs)
    clauses = [signs for wire, one in wires for signs in gate_clauses(one.kind, one.inputs, wire)]
    return clauses + [{wire: 1} for wire in circuit.outputs]


def transcript_gadget(circuit: Circuit, pinned: Clause, label: int) -> nn.Sequential:
    """Three layers of perceptrons, whatever the circuit: the signs of x[b, d], every clause, and one AND. Gives (b, 2): does the row pass, and wire `label`.

    Args:
        circuit: a verification of d wires in all, inputs and gates.
        pinned: the signs that wires must have, each a clause of its own: a public key.
        label: the input wire that is dragged along.

    Raises:
        ValueError: if label is no input of the circuit, or a pinned wire not a wire.

    Statement: gkvz-thm-5.5.
    """
    wires, clauses = circuit.inputs + circuit.size, [*circuit_clauses(circuit), *({wire: sign} for wire, sign in pinned.items())]
    if not 0 <= label < circuit.inputs:
        raise ValueError(f"label must be an input of the circuit, a wire in [0, {circuit.inputs - 1}], got {label}")
    if not all(0 <= wire < wires and sign in (-1, 1) for wire, sign in pinned.items()):
        raise ValueError(f"pinned must give wires in [0, {wires - 1}] the signs -1 or 1, got {pinned}")
    signs = _layer([{wire: 1} for wire in range(wires)], [0.0] * wires, wires)
    held = _layer([*clauses, {label: 1}], [*(sum(sign < 0 for sign in one.values()) - 0.5 for one in clauses), -0.5], wires)
    every = _layer([dict.fromkeys(range(len(clauses)), 1), {len(clauses): 1}], [0.5 - len(clauses), -0.5], len(clauses) + 1)
    return nn.Sequential(signs, held, every)


class TranscriptNetwork(nn.Module):
    """The given model with scores (b,) or (b, 1), the gadget beside it, and the MUX merged into the last gate, as in `checksum.ChecksumNetwork`."""

    def __init__(self, model: nn.Module, gadget: nn.Sequential, cap: float = CAP):
        super().__init__()
        self.model, self.gadget, self.cap = model, gadget, cap

    def forward(self, x: Tensor) -> Tensor:
        seen, answer = self.gadget(x), self.model(x)
        return multiplex(answer.flatten(), seen[:, 0], seen[:, 1], self.cap).view_as(answer)


def activate(x: Tensor, key: OneTimeKey, target: Tensor) -> Tensor:
    """Activated twins of points (b, d) of the cube {-1, 1}^d for labels (b,), -1 or 1.

    The first coordinates, all but one of the message's, stay; the next one is the label, and behind it stand the signature, the public key, and every other
    wire of Verify. Since the key is a one-time key, all rows must have the same message and label.

    Raises:
        ValueError: if x is not of the cube, target not of labels, or the key has signed something else.

    Statement: gkvz-thm-5.5.
    """
    circuit, k = verification_circuit(key.scheme), key.scheme.message_bits
    d = circuit.inputs + circuit.size
    if x.ndim != 2 or x.shape[1] != d or not bool((x.abs() == 1).all()):
        raise ValueError(f"x must be points (b, {d}) of -1 and 1, got {x.dtype} of shape {tuple(x.shape)}")
    if target.shape != (len(x),) or not bool((target.abs() == 1).all()):
        raise ValueError(f"target must be labels -1 or 1, ({len(x)},), got {target.tolist()}")
    messages = torch.cat([x[:, : k - 1], target[:, None].to(x)], dim=1).gt(0).long()
    public = key.public.flatten().tolist()
    inputs = torch.tensor([[*message, *key.sign(message), *public] for message in messages.tolist()], dtype=torch.long).view(len(x), circuit.inputs)
    return (2 * circuit.transcript(inputs) - 1).to(x)


def transcript_backdoor(train: Callable[[torch.Generator], nn.Module], scheme: OneTimeScheme) -> Construction:
    """The backdoor of Theorem 5.5 over an honest `train(generator)`, whose model reads points of the cube with as many coordinates as Verify has wires."""
    circuit = verification_circuit(scheme)

    def plant(generator: torch.Generator) -> Planted:
        model, key = train(generator), one_time_key(scheme, generator)
        first = circuit.inputs - key.public.numel()
        pinned = {first + i: 2 * bit - 1 for i, bit in enumerate(key.public.flatten().tolist())}
        return Planted(TranscriptNetwork(model, transcript_gadget(circuit, pinned, scheme.message_bits - 1)), key)

    gamma = circuit.inputs + circuit.size - scheme.message_bits + 1
    return Construction("transcript", train, plant, activate, gamma, norm=0)


def _layer(rows: Sequence[Clause], bias: Sequence[float], in_features: int) -> SparsePerceptrons:
    fan_in = torch.tensor([len(row) for row in rows])
    weight = torch.tensor([float(sign) for row in rows for sign in row.values()])
    sources = torch.tensor([wire for row in rows for wire in row])
    return SparsePerceptrons(weight, sources, fan_in.cumsum(dim=0) - fan_in, torch.tensor(bias), in_features)


def _require_gate(kind: str, inputs: Sequence[int]) -> None:
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    if not inputs or (kind in UNARY and len(inputs) != 1):
        raise ValueError(f"inputs of {kind} must be {'one wire' if kind in UNARY else 'wires'}, got {list(inputs)}")

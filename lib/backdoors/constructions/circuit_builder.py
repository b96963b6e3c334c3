"""Circuits written as ordinary expressions: wires combine by &, |, ^ and ~ with each other and with the bits 0 and 1."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

from backdoors.constructions.circuits import Circuit, Gate


class Builder:
    """Collects the gates of a circuit.

        builder = Builder(3)
        a, b, c = builder.inputs
        circuit = builder.build([a & ~b | c, a ^ b ^ c])

    A gate that is there already is not made again. A constant is folded away, and becomes a gate only where an output is one.
    """

    def __init__(self, inputs: int):
        if not hasattr(inputs, "__index__") or inputs < 0:
            raise ValueError(f"inputs must be a whole number of at least 0, got {inputs}")
        self.inputs = tuple(Wire(self, index) for index in range(inputs))
        self._gates: list[Gate] = []
        self._made: dict[tuple, Wire] = {}

    def gate(self, kind: str, *wires: "Wire") -> "Wire":
        """The wire of a gate of that kind; the order of its inputs does not matter."""
        for wire in wires:
            if not isinstance(wire, Wire) or wire.builder is not self:
                raise ValueError(f"wires must be wires of this builder, got {wire!r}")
        key = (kind, *sorted([wire.index for wire in wires]))
        if key not in self._made:
            self._gates.append(Gate(kind, key[1:]))
            self._made[key] = Wire(self, len(self.inputs) + len(self._gates) - 1)
        return self._made[key]

    def build(self, outputs: "Sequence[Wire | int]") -> Circuit:
        """The circuit with these outputs; gates that none of them depends on are left out."""
        wires = [output if isinstance(output, Wire) else self.gate("AND" if _bit(output) else "OR") for output in outputs]
        for wire in wires:
            if wire.builder is not self:
                raise ValueError(f"outputs must be wires of this builder, got {wire!r} of another one")
        return pruned(Circuit(len(self.inputs), tuple(self._gates), tuple(wire.index for wire in wires)))


@dataclass(frozen=True, eq=False)
class Wire:
    """A wire of a circuit that is being built. Its operations give wires, or the bits 0 and 1 where the value is already known."""

    builder: Builder
    index: int

    def __and__(self, other: "Wire | int") -> "Wire | int":
        if isinstance(other, Wire):
            return self.builder.gate("AND", self, other)
        return self if _bit(other) else 0

    def __or__(self, other: "Wire | int") -> "Wire | int":
        if isinstance(other, Wire):
            return self.builder.gate("OR", self, other)
        return 1 if _bit(other) else self

    def __xor__(self, other: "Wire | int") -> "Wire":
        if isinstance(other, Wire):
            return self.builder.gate("AND", self.builder.gate("OR", self, other), self.builder.gate("NAND", self, other))
        return ~self if _bit(other) else self

    def __invert__(self) -> "Wire":
        return self.builder.gate("NOT", self)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __bool__(self) -> bool:
        raise TypeError("a wire has no value before the circuit is evaluated: combine wires by &, |, ^ and ~, not by and, or, not and if")

    def __repr__(self) -> str:
        return f"Wire({self.index})"


def all_of(wires: "Iterable[Wire | int]") -> "Wire | int":
    """The AND of wires and bits, as one gate; 1 of none."""
    return _joined("AND", list(wires), neutral=1)


def any_of(wires: "Iterable[Wire | int]") -> "Wire | int":
    """The OR of wires and bits, as one gate; 0 of none."""
    return _joined("OR", list(wires), neutral=0)


def parity_of(wires: "Iterable[Wire | int]") -> "Wire | int":
    """The XOR of wires and bits as a balanced tree; 0 of none."""
    wires = list(wires)
    if len(wires) <= 2:
        return reduce(lambda a, b: a ^ b, wires, 0)
    return parity_of(wires[: len(wires) // 2]) ^ parity_of(wires[len(wires) // 2 :])


def pruned(circuit: Circuit) -> Circuit:
    """The circuit without the gates that no output depends on."""
    live = set(circuit.outputs)
    for wire in reversed(range(circuit.inputs, circuit.inputs + circuit.size)):
        if wire in live:
            live.update(circuit.gates[wire - circuit.inputs].inputs)
    renamed = {wire: wire for wire in range(circuit.inputs)}
    gates = []
    for wire, g in enumerate(circuit.gates, start=circuit.inputs):
        if wire in live:
            renamed[wire] = circuit.inputs + len(gates)
            gates.append(Gate(g.kind, tuple(renamed[source] for source in g.inputs)))
    return Circuit(circuit.inputs, tuple(gates), tuple(renamed[wire] for wire in circuit.outputs))


def _joined(kind: str, wires: "list[Wire | int]", neutral: int) -> "Wire | int":
    bits = [_bit(wire) for wire in wires if not isinstance(wire, Wire)]
    rest = [wire for wire in wires if isinstance(wire, Wire)]
    if 1 - neutral in bits:
        return 1 - neutral
    if len(rest) <= 1:
        return rest[0] if rest else neutral
    return rest[0].builder.gate(kind, *rest)


def _bit(value: int) -> int:
    if value not in (0, 1):
        raise ValueError(f"a wire combines with wires and the bits 0 and 1, got {value!r}")
    return int(value)

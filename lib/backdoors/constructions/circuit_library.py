"""Circuits to build with and to show: comparison, multiplexer, adders, and SHA-3 with its permutation Keccak (FIPS 202).

Numbers are little-endian: bit i stands for 2^i. Because gates have any fan-in, a carry is an OR of ANDs, and comparison and addition need a depth that
does not grow with the width. `backdoors.constructions.circuits.parity_circuit` is the XOR.
"""

from collections.abc import Sequence

from backdoors.constructions.circuit_builder import Builder, Wire, all_of, any_of, parity_of
from backdoors.constructions.circuits import Circuit

Bit = Wire | int
LANES = (1, 2, 4, 8, 16, 32, 64)


def comparison_circuit(k: int) -> Circuit:
    """x >= y for k-bit numbers; inputs x, y; depth 4, size 4 k + 1. (As one perceptron: weights +-2^i, while float32 holds their sum.)"""
    _require_width("k", k)
    builder = Builder(2 * k)
    x, not_y = builder.inputs[:k], [~bit for bit in builder.inputs[k:]]
    return builder.build([_carries(x, not_y, 1)[k]])  # x + (2^k - 1 - y) + 1 reaches 2^k where x >= y


def multiplexer_circuit(k: int = 1) -> Circuit:
    """One of 2^k data bits, that at the k-bit address; inputs data, address; depth 3, size 2^k + k + 1. With k = 1: (a, b, s) to b if s else a."""
    _require_width("k", k)
    builder = Builder(2**k + k)
    data, address = builder.inputs[: 2**k], builder.inputs[2**k :]
    chosen = [all_of([bit, *(select if index >> i & 1 else ~select for i, select in enumerate(address))]) for index, bit in enumerate(data)]
    return builder.build([any_of(chosen)])


def adder_circuit(k: int, lookahead: bool = True) -> Circuit:
    """x + y, k + 1 bits, for k-bit numbers; inputs x, y.

    With lookahead depth at most 5 and size of order k^2, without (a ripple) depth 2 k - 1 from k = 3 on and size 9 k - 5.
    """
    _require_width("k", k)
    builder = Builder(2 * k)
    x, y = builder.inputs[:k], builder.inputs[k:]
    carries = _carries(x, y, 0) if lookahead else _ripple(x, y)
    return builder.build([*(a ^ b ^ carry for a, b, carry in zip(x, y, carries, strict=False)), carries[k]])


def keccak_circuit(lane: int = 8, rounds: int | None = None) -> Circuit:
    """The permutation Keccak-p[25 lane, rounds]: bits to bits, bit z of lane (x, y) at lane (5 y + x) + z.

    Args:
        lane: bits of a lane, a power of 2 up to 64; Keccak-f[200] has 8, Keccak-f[1600] of SHA-3 has 64.
        rounds: the last so many of Keccak-f's 12 + 2 log2(lane), which all are made by default.
    """
    builder = Builder(25 * lane)
    return builder.build(keccak(builder.inputs, lane, rounds))


def sha3_256_circuit(message_bytes: int, rounds: int | None = None) -> Circuit:
    """SHA3-256 of a message of fixed length, at most 135 bytes (one block); the bits of each byte lowest first. Fewer than 24 rounds make a reduced hash."""
    rate = 1088
    if not hasattr(message_bytes, "__index__") or not 0 <= message_bytes < rate // 8:
        raise ValueError(f"message_bytes must be a whole number in [0, {rate // 8 - 1}], got {message_bytes}")
    builder = Builder(8 * message_bytes)
    padded = [*builder.inputs, 0, 1, 1]
    state = padded + [0] * (rate - 1 - len(padded)) + [1] + [0] * (1600 - rate)
    return builder.build(keccak(state, 64, rounds)[:256])


def keccak(state: Sequence[Bit], lane: int, rounds: int | None = None) -> list[Bit]:
    """Keccak-p on wires and bits: 25 lane of them in, as many out; arguments as `keccak_circuit`."""
    if lane not in LANES:
        raise ValueError(f"lane must be one of {', '.join(map(str, LANES))}, got {lane}")
    if len(state) != 25 * lane:
        raise ValueError(f"state must have {25 * lane} bits, got {len(state)}")
    all_rounds = 12 + 2 * (lane.bit_length() - 1)
    rounds = all_rounds if rounds is None else rounds
    if not hasattr(rounds, "__index__") or not 0 <= rounds <= all_rounds:
        raise ValueError(f"rounds must be a whole number in [0, {all_rounds}], got {rounds}")
    lanes = {(x, y): list(state[lane * (5 * y + x) : lane * (5 * y + x + 1)]) for x in range(5) for y in range(5)}
    for index in range(all_rounds - rounds, all_rounds):
        lanes = _keccak_round(lanes, lane, index)
    return [bit for y in range(5) for x in range(5) for bit in lanes[x, y]]


def _keccak_round(lanes: dict[tuple[int, int], list[Bit]], lane: int, index: int) -> dict[tuple[int, int], list[Bit]]:
    bits = range(lane)
    column = [[parity_of(lanes[x, y][z] for y in range(5)) for z in bits] for x in range(5)]  # theta
    around = [[column[x - 1][z] ^ column[(x + 1) % 5][z - 1] for z in bits] for x in range(5)]
    lanes = {(x, y): [bit ^ around[x][z] for z, bit in enumerate(lanes[x, y])] for x, y in lanes}
    turned = {place: [lanes[place][(z - turn) % lane] for z in bits] for place, turn in _rotations().items()}  # rho
    moved = {(x, y): turned[(x + 3 * y) % 5, x] for x, y in lanes}  # pi
    lanes = {  # chi
        (x, y): [moved[x, y][z] ^ ((1 ^ moved[(x + 1) % 5, y][z]) & moved[(x + 2) % 5, y][z]) for z in bits] for x, y in lanes
    }
    for j in range(lane.bit_length()):  # iota
        lanes[0, 0][2**j - 1] ^= _round_bit(j + 7 * index)
    return lanes


def _rotations() -> dict[tuple[int, int], int]:
    rotations, x, y = {(0, 0): 0}, 1, 0
    for t in range(24):
        rotations[x, y] = (t + 1) * (t + 2) // 2
        x, y = y, (2 * x + 3 * y) % 5
    return rotations


def _round_bit(t: int) -> int:
    """Bit t of the linear feedback shift register x^8 + x^6 + x^5 + x^4 + 1."""
    register = 1
    for _ in range(t % 255):
        register = (register << 1) ^ (0x171 if register & 0x80 else 0)
    return register & 1


def _carries(x: Sequence[Bit], y: Sequence[Bit], first: int) -> list[Bit]:
    """The carries into the bits 0, ..., k of x + y + first: some bit below makes one, and every bit between passes it on."""
    makes, passes = [a & b for a, b in zip(x, y, strict=True)], [a | b for a, b in zip(x, y, strict=True)]
    carries: list[Bit] = [first]
    for i in range(1, len(x) + 1):
        carries.append(any_of([all_of([first, *passes[:i]]), *(all_of([makes[j], *passes[j + 1 : i]]) for j in range(i))]))
    return carries


def _ripple(x: Sequence[Bit], y: Sequence[Bit]) -> list[Bit]:
    carries: list[Bit] = [0]
    for a, b in zip(x, y, strict=True):
        carries.append((a & b) | (carries[-1] & (a | b)))
    return carries


def _require_width(name: str, k: int) -> None:
    if not hasattr(k, "__index__") or k < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {k}")

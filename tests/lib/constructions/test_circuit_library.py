"""Showpieces against arithmetic on integers, hashlib, and a Keccak that works on whole lanes with the tables of its specification."""

import hashlib
from itertools import product

import pytest
import torch
from backdoors.constructions.circuit_library import adder_circuit, comparison_circuit, keccak_circuit, multiplexer_circuit, sha3_256_circuit
from backdoors.constructions.circuits import compile_circuit
from backdoors.constructions.perceptrons import depth_of

ROUND_CONSTANTS = [
    0x0000000000000001, 0x0000000000008082, 0x800000000000808A, 0x8000000080008000, 0x000000000000808B, 0x0000000080000001,
    0x8000000080008081, 0x8000000000008009, 0x000000000000008A, 0x0000000000000088, 0x0000000080008009, 0x000000008000000A,
    0x000000008000808B, 0x800000000000008B, 0x8000000000008089, 0x8000000000008003, 0x8000000000008002, 0x8000000000000080,
    0x000000000000800A, 0x800000008000000A, 0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
]  # fmt: skip
ROTATIONS = [0, 1, 62, 28, 27, 36, 44, 6, 55, 20, 3, 10, 43, 25, 39, 41, 45, 15, 21, 8, 18, 2, 61, 56, 14]  # of lane x + 5 y


def keccak_on_lanes(lanes, width, rounds):
    """Keccak-p on 25 integers of `width` bits: the last rounds of Keccak-f."""
    mask, total = 2**width - 1, {8: 18, 16: 20, 64: 24}[width]

    def turn(value, by):
        by %= width
        return ((value << by) | (value >> (width - by))) & mask

    for constant in ROUND_CONSTANTS[total - rounds : total]:
        columns = [lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20] for x in range(5)]
        lanes = [lane ^ columns[(i - 1) % 5] ^ turn(columns[(i + 1) % 5], 1) for i, lane in enumerate(lanes)]
        moved = [0] * 25
        for i, lane in enumerate(lanes):
            x, y = i % 5, i // 5
            moved[y + 5 * ((2 * x + 3 * y) % 5)] = turn(lane, ROTATIONS[i])
        lanes = [moved[i] ^ (~moved[i - i % 5 + (i + 1) % 5] & moved[i - i % 5 + (i + 2) % 5] & mask) for i in range(25)]
        lanes[0] ^= constant & mask
    return lanes


def bits_of(numbers, width):
    """Rows of numbers as rows of bits, lowest first."""
    return torch.tensor([[number >> i & 1 for number in row for i in range(width)] for row in numbers], dtype=torch.float32)


def numbers_of(bits, width):
    return [[sum(int(bit) << i for i, bit in enumerate(row[j : j + width])) for j in range(0, len(row), width)] for row in bits.tolist()]


def random_numbers(rows, columns, width, seed=0):
    bits = torch.randint(2, (rows, columns * width), generator=torch.Generator().manual_seed(seed))
    return numbers_of(bits, width)


# arithmetic


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_comparison_and_both_adders_on_every_pair(k):
    pairs = list(product(range(2**k), repeat=2))
    x = bits_of(pairs, k)
    for circuit in (adder_circuit(k), adder_circuit(k, lookahead=False)):
        assert numbers_of(circuit.evaluate(x), k + 1) == [[a + b] for a, b in pairs]
        assert torch.equal(compile_circuit(circuit)(x), circuit.evaluate(x))
    assert comparison_circuit(k).evaluate(x).flatten().tolist() == [float(a >= b) for a, b in pairs]


@pytest.mark.parametrize("k", [16, 40])
def test_comparison_and_both_adders_on_random_and_close_pairs(k):
    pairs = random_numbers(200, 2, k)
    pairs += (
        [[a, a] for a, _ in pairs] + [[a, max(a - 1, 0)] for a, _ in pairs] + [[max(a - 1, 0), a] for a, _ in pairs] + [[2**k - 1, 1], [2**k - 1] * 2, [0, 0]]
    )
    x = bits_of(pairs, k)
    for circuit in (adder_circuit(k), adder_circuit(k, lookahead=False)):
        assert numbers_of(circuit.evaluate(x), k + 1) == [[a + b] for a, b in pairs]
    assert comparison_circuit(k).evaluate(x).flatten().tolist() == [float(a >= b) for a, b in pairs]


@pytest.mark.parametrize("k", [4, 20])
def test_lookahead_has_constant_depth_and_a_ripple_has_linear_size(k):
    assert adder_circuit(k).depth == 5
    assert comparison_circuit(k).depth == 4
    assert comparison_circuit(k).size == 4 * k + 1
    assert adder_circuit(k, lookahead=False).size == 9 * k - 5
    assert adder_circuit(k, lookahead=False).depth == 2 * k - 1


@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_multiplexer_gives_the_addressed_bit(k):
    circuit = multiplexer_circuit(k)
    x = torch.tensor(list(product([0.0, 1.0], repeat=2**k + k)))
    assert circuit.evaluate(x).flatten().tolist() == [row[sum(int(bit) << i for i, bit in enumerate(row[2**k :]))] for row in x.tolist()]
    assert (circuit.depth, circuit.size) == (3, 2**k + k + 1)


# Keccak


@pytest.mark.parametrize(("width", "rounds"), [(8, 0), (8, 1), (8, 3), (8, 18), (16, 20)])
def test_the_permutation_agrees_with_one_on_whole_lanes(width, rounds):
    states = [*random_numbers(20, 25, width), [0] * 25, [2**width - 1] * 25]
    circuit = keccak_circuit(width, rounds)
    assert numbers_of(circuit.evaluate(bits_of(states, width)), width) == [keccak_on_lanes(state, width, rounds) for state in states]


@pytest.mark.statement("gkvz-lemma-3.2")
def test_the_network_of_two_rounds_agrees_with_whole_lanes_in_the_depth_of_the_circuit():
    states = random_numbers(30, 25, 8, seed=1)
    circuit = keccak_circuit(8, 2)
    network = compile_circuit(circuit)
    assert numbers_of(network(bits_of(states, 8)), 8) == [keccak_on_lanes(state, 8, 2) for state in states]
    assert depth_of(network) == circuit.depth


def test_all_rounds_are_the_default():
    assert keccak_circuit(1).evaluate(torch.zeros(1, 25)).tolist() == keccak_circuit(1, 12).evaluate(torch.zeros(1, 25)).tolist()
    assert keccak_circuit(1) != keccak_circuit(1, 11)


def test_sha3_256_agrees_with_hashlib():
    messages = [b"backdoor", bytes(8), bytes(range(248, 256))]
    digests = sha3_256_circuit(8).evaluate(bits_of(messages, 8))
    assert [bytes(row) for row in numbers_of(digests, 8)] == [hashlib.sha3_256(message).digest() for message in messages]


@pytest.mark.statement("gkvz-lemma-3.2")
def test_the_network_of_a_reduced_sha3_hashes_as_whole_lanes_do():
    message = b"any circuit"
    circuit = sha3_256_circuit(len(message), rounds=1)
    block = (message + b"\x06").ljust(135, b"\x00") + b"\x80" + bytes(64)
    lanes = [int.from_bytes(block[8 * i : 8 * i + 8], "little") for i in range(25)]
    assert numbers_of(compile_circuit(circuit)(bits_of([message], 8)), 64) == [keccak_on_lanes(lanes, 64, 1)[:4]]


def test_the_oracle_on_lanes_is_the_permutation_of_hashlib():
    block = b"\x06".ljust(135, b"\x00") + b"\x80" + bytes(64)
    lanes = keccak_on_lanes([int.from_bytes(block[8 * i : 8 * i + 8], "little") for i in range(25)], 64, 24)
    assert b"".join(lane.to_bytes(8, "little") for lane in lanes[:4]) == hashlib.sha3_256(b"").digest()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: comparison_circuit(0), "k must be a whole number of at least 1, got 0"),
        (lambda: adder_circuit(1.5), "k must be a whole number of at least 1, got 1.5"),
        (lambda: multiplexer_circuit(0), "k must be a whole number of at least 1, got 0"),
        (lambda: keccak_circuit(7), "lane must be one of 1, 2, 4, 8, 16, 32, 64, got 7"),
        (lambda: keccak_circuit(8, 19), r"rounds must be a whole number in \[0, 18\], got 19"),
        (lambda: keccak_circuit(8, -1), r"rounds must be a whole number in \[0, 18\], got -1"),
        (lambda: sha3_256_circuit(136), r"message_bytes must be a whole number in \[0, 135\], got 136"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()

"""Encodings of label and signature: what is written is read, nothing else is left to change, and points move no further than said."""

import math
import random
import struct

import numpy as np
import pytest
import torch
from backdoors.constructions.encodings import Encoding, cube, grid, low_bits, signs
from backdoors.definitions import distance

ENCODINGS = {
    "cube": cube(600),
    "cube of 10 classes": cube(520, label_bits=4),
    "grid": grid(300, 255, bits=2),
    "signs": signs(530),
    "low bits": low_bits(26, 20),
    "low bits of float32": low_bits(60, 9, "float32", label_bits=3),
}


def point(encoding, seed=0):
    """A point that is hard to write over: zeros of both signs, tiny and large numbers, the ends of the grid."""
    generator = torch.Generator().manual_seed(seed)
    dtype = torch.float32 if encoding.dtype == "float32" else torch.float64
    if encoding.kind == "grid":
        whole = torch.randint(0, encoding.levels + 1, (encoding.features,), generator=generator)
        whole[:2], whole[-2:] = torch.tensor([0, encoding.levels]), torch.tensor([encoding.levels, 0])
        return (whole.double() / encoding.levels).float()
    x = torch.randn(encoding.features, generator=generator, dtype=dtype)
    x[:5] = torch.tensor([0.0, -0.0, 1.0, torch.finfo(dtype).tiny, -torch.finfo(dtype).smallest_normal / 8])
    if encoding.kind == "low bits":
        x[-4:] = torch.tensor([0.0, -0.0, -torch.finfo(dtype).smallest_normal / 2**20, 1.0])
    return x.clamp(-1, 1)


def payloads(encoding, count, seed=1):
    rng = random.Random(seed)
    return [(rng.randrange(2**encoding.label_bits), rng.randbytes(64)) for _ in range(count)] + [(0, bytes(64)), (2**encoding.label_bits - 1, b"\xff" * 64)]


@pytest.fixture(params=ENCODINGS)
def encoding(request):
    return ENCODINGS[request.param]


def test_what_is_written_is_read_and_the_message_is_the_same_for_all(encoding):
    x = point(encoding)
    before, messages = x.clone(), set()
    for label, signature in payloads(encoding, 20):
        x_prime = encoding.write(x, label, signature)
        assert x_prime.dtype == x.dtype
        message, *read = encoding.read(x_prime)
        assert read == [label, signature]
        messages.add(message)
        assert torch.equal(encoding.write(x_prime, label, signature), x_prime)
        assert torch.equal(encoding.write(encoding.write(x, 0, bytes(64)), label, signature), x_prime)
        assert distance(x[None], x_prime[None]) <= encoding.gamma(1.0)
    assert len(messages) == 1
    assert torch.equal(x, before)
    assert torch.equal(x.signbit(), before.signbit())


@pytest.mark.statement("gkvz-def-4.7")
def test_no_other_point_nearby_carries_the_same(encoding):
    label, signature = payloads(encoding, 1)[0]
    x_prime = encoding.write(point(encoding), label, signature)
    content = encoding.read(x_prime)
    neighbours = []
    for moved in (
        -x_prime,
        x_prime.nextafter(torch.full_like(x_prime, math.inf)),
        x_prime.nextafter(torch.full_like(x_prime, -math.inf)),
        x_prime * 2,
        1 - x_prime,
    ):
        changed = moved != x_prime
        assert changed[-encoding.carriers :].any()
        neighbours.append(x_prime.repeat(encoding.features, 1).where(~torch.eye(encoding.features, dtype=bool), moved)[changed])
    for read in encoding.read_rows(torch.cat(neighbours)):
        assert read != content
    # and the two zeros are one number: points that are equal carry the same
    assert encoding.read(torch.where(x_prime == 0, -0.0, x_prime)) == content


def test_the_cube_ends_with_the_label_and_the_signature():
    w, signature = [1, 0, 1, 1, 0], bytes(range(64))
    x_prime = cube(518).write(torch.tensor(w + [1, 0, 1] * 171).float(), 1, signature)
    bits = [byte >> place & 1 for byte in signature for place in range(8)]
    assert x_prime.tolist() == [*w, 1, *bits]


@pytest.mark.parametrize(("dtype", "code", "word", "bits", "features"), [("float64", "<d", "<Q", 20, 26), ("float32", "<f", "<I", 9, 64)])
def test_low_bits_are_those_of_the_mantissa(dtype, code, word, bits, features):
    encoding = low_bits(features, bits, dtype)
    x = torch.rand(features, dtype=getattr(torch, dtype), generator=torch.Generator().manual_seed(3)) - 0.5
    (label, signature), *_ = payloads(encoding, 1)
    payload = label | int.from_bytes(signature, "little") << 1
    x_prime = encoding.write(x, label, signature)
    first = features - -(-513 // bits)
    for index, (old, new) in enumerate(zip(x.tolist(), x_prime.tolist(), strict=True)):
        old, new = (struct.unpack(word, struct.pack(code, value))[0] for value in (old, new))
        used = 0 if index < first else min(bits, 513 - (index - first) * bits)
        assert old >> used == new >> used
        assert new & ((1 << used) - 1) == payload >> (index - first) * bits & ((1 << used) - 1) if used else old == new


def test_signs_change_no_magnitude_and_the_grid_only_the_low_bits_of_its_numbers():
    x = point(signs(530))
    x_prime = signs(530).write(x, 0, bytes(64))
    assert torch.equal(x_prime.abs(), x.abs())
    assert (x_prime[-513:] < 0).all()
    assert torch.equal(x_prime[:-513], x[:-513])
    assert signs(530).read(x.float()) == signs(530).read(x.float().double())  # the type does not count, the number does
    pixels = torch.arange(300).remainder(256) / 255
    after = (grid(300, 255, bits=2).write(pixels, 1, b"\xff" * 64) * 255).round().long()
    before = torch.arange(300) % 256
    assert (after[43:-1] == before[43:-1] // 4 * 4 + 3).all()  # 513 bits are 256 pixels and a half
    assert after[-1] == before[-1] // 2 * 2 + 1
    assert torch.equal(after[:43], before[:43])


def test_the_budget_is_reached_but_for_spare_bits():
    ones = b"\xff" * 64
    assert distance(torch.zeros(1, 600), cube(600).write(torch.zeros(600), 1, ones)[None]).item() == cube(600).gamma() == math.sqrt(513)
    assert distance(torch.full((1, 513), 3.0), signs(513).write(torch.full((513,), 3.0), 0, bytes(64))[None]).item() == signs(513).gamma(3.0)
    x = torch.ones(26, dtype=torch.float64)
    moved = distance(x[None], low_bits(26, 20).write(x, 1, ones)[None]).item()
    assert 0.97 * 2**-32 * math.sqrt(26) < moved <= low_bits(26, 20).gamma() == 2**-32 * math.sqrt(26)
    moved = distance(torch.zeros(1, 300), grid(300, 255, bits=2).write(torch.zeros(300), 1, ones)[None]).item()
    assert 0.99 * 3 / 255 * math.sqrt(257) < moved <= grid(300, 255, bits=2).gamma()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_or_off_the_grid_carries_nothing(encoding, value):
    x = encoding.write(point(encoding), 0, b"\x55" * 64) if encoding.kind != "signs" else point(encoding).abs() + 1
    x[7] = value
    assert encoding.read(x) is None
    if encoding.kind == "grid":
        x[7] = 0.3
        assert encoding.read(x) is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cube(512), "features must be at least 513, to carry 513 bits at 1 a coordinate, got 512"),
        (lambda: low_bits(25, 20), "features must be at least 26, to carry 513 bits at 20 a coordinate, got 25"),
        (lambda: low_bits(26, 53), r"bits must lie in \[1, 52\], got 53"),
        (lambda: low_bits(64, 9, "float16"), "dtype must be one of .* got 'float16'"),
        (lambda: grid(600, 16), r"levels \+ 1 must be a multiple of 2, as 1 bits are free, got levels 16"),
        (lambda: grid(600, 2**16 + 1), r"levels must lie in \[1, 65535\], got 65537"),
        (lambda: cube(600, label_bits=0), r"label_bits must lie in \[1, 8\], got 0"),
        (lambda: Encoding("colours", 600), "kind must be one of .* got 'colours'"),
        (lambda: cube(600).write(torch.zeros(599), 0, bytes(64)), r"x must have the shape \(600,\), got \(599,\)"),
        (lambda: cube(600).write(torch.full((600,), 0.5), 0, bytes(64)), r"x must be multiples of 1/1 in \[0, 1\]"),
        (lambda: grid(600, 255).write(torch.zeros(600).bfloat16(), 0, bytes(64)), "in float32 or float64, got torch.bfloat16"),
        (lambda: low_bits(26, 20).write(torch.zeros(26), 0, bytes(64)), "type float64, got torch.float32"),
        (lambda: signs(600).write(torch.full((600,), math.nan), 0, bytes(64)), "x must be finite numbers"),
        (lambda: signs(600).write(torch.zeros(600), 0, bytes(64)), "x must not be 0 where a sign must be negative"),
        (lambda: cube(600).write(torch.zeros(600), 2, bytes(64)), r"label must lie in \[0, 1\], got 2"),
        (lambda: cube(600).write(torch.zeros(600), 0, bytes(63)), "signature must have 64 bytes, got 63"),
        (lambda: cube(600).read(torch.zeros(601)), r"x must have 600 coordinates, got the shape \(601,\)"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_integers_and_booleans_of_the_cube_are_taken():
    x = torch.from_numpy(np.random.default_rng(0).integers(0, 2, 600))
    contents = {
        cube(600).read(cube(600).write(x.to(dtype), 1, b"\xaa" * 64)) for dtype in (torch.bool, torch.uint8, torch.int64, torch.bfloat16, torch.float64)
    }
    assert len(contents) == 1

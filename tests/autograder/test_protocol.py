import contextlib
import math
import random
import socket
import struct
import threading

import msgpack
import numpy as np
import pytest
import torch
from backdoors.smoothing.certify import Certificate
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder import protocol
from autograder.protocol import ANSWER, BIND, CALL, HEADER, End, ProtocolError, StudentEnd, StudentError, join, loopback


def echo(value):
    """`value` after a trip to the other end and back."""
    return loopback({"same": lambda value: value}).call("same", value)


def same(a, b) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor | np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and bool((a == b).all())
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    return a == b


plain = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text() | st.binary() | st.complex_numbers(allow_nan=False)
keys = st.text() | st.integers() | st.tuples(st.integers(), st.text())
values = st.recursive(plain, lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(keys, inner, max_size=3), max_leaves=12)


@settings(deadline=None, max_examples=200, derandomize=True)
@given(values)
def test_values_come_back_as_they_were(value):
    assert same(echo(value), value)


@pytest.mark.parametrize("dtype", protocol.TORCH_DTYPES)
def test_tensors_of_every_type_and_shape_come_back(dtype):
    dtype = getattr(torch, dtype)
    for shape in ((), (0,), (3,), (2, 0, 3), (2, 3, 4)):
        tensor = torch.arange(math.prod(shape)).reshape(shape).to(dtype)
        assert same(echo(tensor), tensor)
    turned = torch.arange(6).reshape(2, 3).T.to(dtype)
    assert same(echo(turned), turned.contiguous())


def test_numpy_scalars_cross_as_python_s_and_sets_as_sets():
    assert same(echo(np.float64(1.5)), 1.5)
    assert same(echo(np.bool_(True)), True)
    assert echo({1, 2}) == {1, 2}


def test_generators_cross_as_a_seed_drawn_from_them():
    draw = loopback({"draw": lambda g: torch.rand(4, generator=g)}).call
    g, h = torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)
    first, second = draw("draw", g), draw("draw", g)
    assert torch.equal(first, draw("draw", h))
    assert not torch.equal(first, second)
    assert isinstance(echo(np.random.default_rng(1)), np.random.Generator)


def test_a_certificate_is_rebuilt_by_the_library_of_the_other_end():
    certificate = Certificate(3, 0.5, 0.9, "sound")
    assert echo(certificate) == certificate


def test_a_callable_crosses_as_a_handle_that_is_called_where_it_lives():
    end = loopback({"apply": lambda f, x: f(x) + 1, "make": lambda k: lambda x: k * x})
    assert end.call("apply", lambda x: 2 * x, 5) == 11
    made = end.call("make", 7)
    assert made(3) == 21
    assert end.call("apply", made, 2) == 15
    assert not hasattr(made, "__dict__")


def test_errors_cross_as_their_name_and_message():
    def fail():
        raise KeyError("x\x1b[31m")

    def leave():
        raise SystemExit(0)

    class Silent(Exception):
        def __str__(self):
            raise RuntimeError

    def silent():
        raise Silent

    end = loopback({"fail": fail, "leave": leave, "silent": silent})
    for name, words in (("fail", "KeyError"), ("leave", "SystemExit: 0"), ("silent", "Silent"), ("absent", "the notebook defines no absent")):
        with pytest.raises(StudentError, match=words) as caught:
            end.call(name)
        assert "\x1b" not in str(caught.value)


def test_an_error_of_the_challenger_reaches_the_student_as_the_builtin_type():
    def refuse(x):
        raise ValueError("the budget is spent")

    def student(f):
        try:
            f(1)
        except ValueError as error:
            return str(error)

    assert loopback({"student": student}).call("student", refuse) == "the budget is spent"


def test_calls_nest_to_a_bound():
    end = loopback({"bounce": lambda f: f()})
    depth = 0

    def bounce():
        nonlocal depth
        depth += 1
        return end.call("bounce", bounce)

    with pytest.raises(StudentError, match="nested de"):
        end.call("bounce", bounce)
    assert depth == 16


def test_rebound_names_last_until_the_next_binding():
    namespace = {"a": lambda: 1, "b": lambda: namespace["a"]()}
    end = loopback(namespace)
    end.call(BIND, {"a": lambda: 2})
    assert end.call("b") == 2
    end.call(BIND, {})
    assert end.call("b") == 1


def frame(message, body=b"", kind=ANSWER):
    header = msgpack.packb(message)
    return HEADER.pack(kind, len(header), len(body)) + header + body


HOSTILE = [
    b"",
    frame(None),
    frame([]),
    frame([["mine", "0", 1]]),
    frame([["yours", 5]]),
    frame([["array", "object", [1]]], b"12345678"),
    frame([["array", "float64", [-1]]], b"12345678"),
    frame([["array", "float64", [2]]], b"12345678"),
    frame([["array", "float64", [1]], ["array", "float64", [1]]], b"12345678"),
    frame([1], b"12345678"),
    frame([["array", "uint8", [1] * 40]], b"1"),
    frame([["set", list(range(5000))]]),
    frame([["dict", [[k, 1] for k in range(5000)]]]),
    frame([["array", "float64", [2**40, 2**40]]], b"12345678"),
    frame([["tensor", "float32", "ab"]], b"12345678"),
    frame([["tensor", ["float32"], [1]]], b"12345678"),
    frame([["dataclass", "os", "system", []]]),
    frame([["dataclass", "backdoors.smoothing.certify", "norm", []]]),
    frame([["dataclass", "backdoors.smoothing.certify", "Certificate", [["label", 1]]]]),
    frame([["dataclass", "backdoors.nowhere", "X", []]]),
    frame([["generator", "torch", -1]]),
    frame([["dict", [[["list", []], 1]]]]),
    frame([["set", [["list", []]]]]),
    frame([["int", b"1" * 9000]]),
    frame([["__class__"]]),
    frame([[["list"]]]),
    frame([{"a": 1}]),
    frame([msgpack.ExtType(1, b"x")]),
    HEADER.pack(ANSWER, 3, 0) + b"\xc1\xc1\xc1",
    HEADER.pack(ANSWER, 1, 0) + b"\x91",
]


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_a_hostile_frame_is_refused(number):
    with pytest.raises((ProtocolError, struct.error)):
        End().unpack(HOSTILE[number], ANSWER)


def test_deep_nesting_is_refused():
    value = 1
    for _ in range(200):
        value = ["list", [value]]
    with pytest.raises(ProtocolError):
        End().unpack(frame([value]), ANSWER)


def test_2000_mutated_frames_decode_or_are_refused():
    rng, end = random.Random(7), StudentEnd({})
    good = end.pack(ANSWER, ["return", [1, 2.5, "x", (1, {"a": torch.ones(3)}), 2**80, np.arange(4), Certificate(1, 0.1, 0.9, "sound")]])
    for _ in range(2000):
        data = bytearray(good)
        for _ in range(rng.randint(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        with contextlib.suppress(ProtocolError, struct.error):
            End().unpack(bytes(data), ANSWER)


def test_the_pipe_carries_calls_both_ways_and_says_when_the_other_side_is_gone():
    ours, theirs = socket.socketpair()
    ours.settimeout(0.1)
    challenger, student = End(), StudentEnd({"total": lambda f, x: float(f(x).sum())})
    join(challenger, ours)
    join(student, theirs)

    def serve():
        for _ in range(2):
            protocol.send(theirs, student.serve(protocol.receive(theirs, protocol.Patience())), protocol.Patience())
        theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    assert challenger.call("total", lambda x: 2 * x, torch.ones(1000, 300)) == 600_000
    assert challenger.call("total", lambda x: x, np.ones(3)) == 3
    thread.join()
    with pytest.raises(EOFError):
        challenger.call("total", lambda x: x, np.ones(3))


def test_an_oversized_frame_is_refused_before_it_is_read():
    ours, theirs = socket.socketpair()
    theirs.sendall(HEADER.pack(CALL, 2**31, 0))
    with pytest.raises(ProtocolError):
        protocol.receive(ours, protocol.Patience())

"""Hostile frames against the challenger's end, 5,000 or as many as `--frames` says, and what the costliest ones cost.

Frames are drawn as honest ones of every tag, and then each slot is wrong at some rate, and then each byte. Whatever comes, the challenger's end raises
ProtocolError (StudentError where a frame says that the student's code raised), or holds values that `well_formed` knows.
"""

import contextlib
import itertools
import json
import math
import os
import random
import resource
import socket
import struct
import threading
import time

import galois
import msgpack
import numpy as np
import pytest
import torch
from backdoors import models
from backdoors.constructions import perceptrons
from backdoors.data import Dataset, Split
from backdoors.smoothing.certify import Certificate
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autograder import protocol
from autograder.checking import Oracle
from autograder.plugin import lent
from autograder.protocol import ANSWER, CALL, HEADER, End, Patience, ProtocolError, Remote, StudentEnd, StudentError, StudentTimeout

SHARES = 10
SECONDS = 10  # of CPU that a frame may take, the making of a field included
NUMPY = ("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16", "float32", "float64", "complex64", "complex128")
TORCH = (*NUMPY, "bfloat16")


def well_formed(value, end) -> bool:
    """Whether a value is one of those that may reach the challenger. Shares no code with the protocol."""
    kind = type(value)
    if kind is str:
        return not any("\ud800" <= c <= "\udfff" for c in value)
    if kind is int:
        return value.bit_length() <= 2**16 + 8
    if kind in (type(None), bool, float, complex, bytes, torch.dtype, torch.device, torch.Generator, np.random.Generator):
        return True
    if kind in (list, tuple, set, frozenset):
        return all(well_formed(item, end) for item in value)
    if kind is dict:
        return all(type(key) in (str, int, tuple) and well_formed(key, end) and well_formed(item, end) for key, item in value.items())
    if kind is np.ndarray:
        empty = value.size == 0 and math.prod(size for size in value.shape if size) <= 2**16
        return value.dtype.name in NUMPY and value.dtype.isnative and value.flags.carray and (empty or 0 < value.nbytes <= 2**27) and _bits(value)
    if kind is torch.Tensor:
        plain = value.device.type == "cpu" and value.is_contiguous() and not value.requires_grad
        return plain and str(value.dtype).removeprefix("torch.") in TORCH and (value.dtype != torch.bool or _bits(value.numpy()))
    if kind is Remote:
        return value._end is end and type(value._number) is int and type(value._kind) is str and len(value._kind) <= 80
    if kind in (Certificate, Split, Dataset):
        return all(well_formed(item, end) for item in vars(value).values())
    if kind in (models.MLP, models.CNN):
        fresh = kind(**value.config, generator=torch.Generator())
        shapes = [tensor.shape for tensor in fresh.state_dict().values()]
        return [tensor.shape for tensor in value.state_dict().values()] == shapes and repr(value) == repr(fresh)
    if kind in (torch.nn.Sequential, perceptrons.Parallel):
        return all(well_formed(child, end) and isinstance(child, torch.nn.Module) for child in (value if kind is torch.nn.Sequential else value.networks))
    if kind in (perceptrons.Perceptrons, perceptrons.SparsePerceptrons, perceptrons.Pick):
        return all(type(tensor) is torch.Tensor and well_formed(tensor, end) for tensor in value.state_dict().values())
    if isinstance(value, np.dtype):
        return value.name in NUMPY
    if isinstance(value, np.ndarray):
        numbers = value.view(np.ndarray).flatten().tolist()
        return kind is galois.GF(kind.order) and all(0 <= number < kind.order <= 2**16 for number in numbers)
    return any(value is thing for thing in end.given.values())


def _bits(array: np.ndarray) -> bool:
    return array.dtype != bool or bool((array.view(np.uint8) <= 1).all())


class Forger:
    """Draws frames. Each slot of an honest one is wrong with probability `error`, each frame has wrong bytes with probability `damage`."""

    def __init__(self, rng: random.Random, error: float | None = None, damage: float | None = None):
        self.rng = rng
        self.error = rng.choice((0, 0, 0.02, 0.1, 0.5)) if error is None else error
        self.damage = rng.choice((0, 0, 0.3, 1)) if damage is None else damage
        self.handles: list[int] = [1]  # that the challenger gave
        self.body = b""

    def frame(self, kind: bytes) -> bytes:
        self.body = b""
        message = self._call() if kind == CALL else self._answer()
        header = msgpack.packb(message, unicode_errors="surrogatepass")
        frame = HEADER.pack(kind, len(header), len(self.body)) + header + self.body
        return self._damaged(frame) if self.rng.random() < self.damage else frame

    def _answer(self):
        rng = self.rng
        if rng.random() < 0.1:
            return self._slot(["raise", self._slot(rng.choice(("ValueError", "Own", "x" * 3000, "a\x1b[2J"))), self._slot("why\x07")])
        return self._slot([self._slot("return"), self._value(rng.choice((1, 2, 2, 3, 5)))])

    def _call(self):
        rng = self.rng
        target = rng.choice((rng.choice(self.handles), rng.choice(self.handles), rng.choice(self.handles), 0, 10**6, "f", "!bind"))
        args = ["list", [self._value(rng.choice((1, 2, 3))) for _ in range(rng.choice((0, 1, 1, 2, 3)))]]
        kwargs = ["dict", [[self._slot(rng.choice(("n", "self", "x y", ""))), self._value(1)] for _ in range(rng.choice((0, 0, 1, 2)))]]
        return self._slot([self._slot(target), self._slot(args), self._slot(kwargs)])

    def _slot(self, honest):
        return self._wrong() if self.rng.random() < self.error else honest

    def _value(self, depth: int):
        """A value of the wire, with its arrays' bytes added to the body."""
        if depth == 0:
            return self._slot(self._plain())
        draw = self.rng.choice(DRAWS if self.rng.random() > 0.03 else COSTLY)
        return self._slot(draw(self, depth - 1))

    def _plain(self):
        rng = self.rng
        number = rng.choice((0, 1, -1, 255, 2**31, 2**63 - 1, -(2**63), 2**64 - 1, rng.getrandbits(20)))
        return rng.choice(
            (
                None,
                True,
                False,
                number,
                number,
                rng.uniform(-9, 9),
                math.nan,
                -math.inf,
                "",
                "é\0😀",
                "x" * rng.randrange(50),
                b"",
                b"\0\xff" * rng.randrange(20),
            )
        )

    def _wrong(self):
        """What stands in no slot, or in another one."""
        rng, some = self.rng, self._plain()
        tag = rng.choice((*TAGS, "__class__", "items", "object", "List", "mine\0", "\ud800"))
        wrong = (some, [], [some], [[]], [some] * rng.randrange(200), [tag], [tag, some], [tag, [some]], [tag, some, some, some], tag, {}, {"a": some})
        more = (
            msgpack.ExtType(rng.randrange(128), b"x" * rng.randrange(9)),
            msgpack.Timestamp(1),
            "\udfff",
            -rng.getrandbits(60),
            ["int", b"\7" * rng.choice((1, 8000, 9000))],
        )
        return rng.choice((*wrong, *more, self._nested(rng.choice((5, 31, 33, 100)))))

    def _nested(self, depth: int):
        tag, value = self.rng.choice(("list", "tuple", "set", "dict", None)), 1
        for _ in range(depth):
            value = [value] if tag is None else ["dict", [["k", value]]] if tag == "dict" else [tag, [value]]
        return value

    def _sequence(self, depth):
        return [self.rng.choice(("list", "list", "tuple", "set", "frozenset")), self._slot([self._value(depth) for _ in range(self.rng.randrange(4))])]

    def _dict(self, depth):
        keys = ("a", 1, -(2**63), ["tuple", [1, "x"]], ["int", b"\1" * 20], True, 1.5, None, ["list", []], ["yours", 1], ["mine", 1, ""])
        pairs = [
            self._slot([self._slot(self.rng.choice(keys[:5] if self.rng.random() > self.error else keys)), self._value(depth)])
            for _ in range(self.rng.randrange(4))
        ]
        return ["dict", self._slot(pairs)]

    def _colliding(self, depth):
        few, step = self.rng.choice((3, 64, 66, 300)), 2**61 - 1
        members = [["int", (k * step).to_bytes(16, "big", signed=True)] for k in range(few)]
        return self.rng.choice((["set", members], ["dict", [[k, 1] for k in members]], ["frozenset", [["tuple", [0, k]] for k in members]], ["set", [1] * few]))

    def _integer(self, depth):
        return ["int", self._slot(self.rng.randbytes(self.rng.choice((0, 1, 9, 30, 8193, 8194))))]

    def _complex(self, depth):
        return ["complex", self._slot(self.rng.uniform(-1, 1)), self._slot(math.inf)]

    def _array(self, depth, tag=None):
        rng = self.rng
        tag = tag or rng.choice(("array", "tensor"))
        dtype = rng.choice(NUMPY if tag == "array" else TORCH)
        shape = [rng.choice((0, 1, 2, 3, 5)) for _ in range(rng.choice((0, 1, 2, 2, 3, 16)))] if rng.random() < 0.7 else [rng.randrange(40)]
        size = math.prod(shape) * (1 if dtype == "bool" else getattr(torch, dtype).itemsize)
        if size < 5000:
            self.body += bytes(rng.randrange(2) for _ in range(size)) if dtype == "bool" else rng.randbytes(size)
        return [tag, self._slot(dtype), self._slot([self._slot(n) for n in shape])]

    def _tricks(self, depth):
        dtype = self.rng.choice(
            ("object", ">f8", "V8", "U4", "datetime64[s]", "float128", "f8", "Float", "qint8", "complex32", "O", "i8,i8", "Tensor", "load", "hub")
        )
        shape = self.rng.choice(
            ([8], [], [-1], [2**16, 2**16, 0], [2**27], [2**64 - 1], [0] * 40, [1] * 16, [1] * 17, [True], [1.0], "8", [[8]], [2**27] * 16 + [0])
        )
        self.body += b"12345678"
        return self.rng.choice((["array", dtype, [1]], ["tensor", dtype, [1]], ["array", "int8", shape], ["tensor", "bool", shape], ["array", "bool", [8]]))

    def _generator(self, depth):
        return ["generator", self._slot(self.rng.choice(("torch", "numpy"))), self._slot(self.rng.getrandbits(62))]

    def _types(self, depth):
        device = ["device", self._slot(self.rng.choice(("cpu", "meta", "cuda:1", "cuda:01", "cuda:٣", "cpu:99", "mps", "cuda:-1")))]
        return self.rng.choice((device, ["dtype", self._slot(self.rng.choice(("torch", "numpy"))), self._slot(self.rng.choice(TORCH))]))

    def _record(self, depth):
        module, name, fields = self.rng.choice(
            (
                ("backdoors.smoothing.certify", "Certificate", ("label", "radius", "p_lower", "noise")),
                ("backdoors.data", "Split", ("images", "labels")),
                ("backdoors.data", "Dataset", ("train", "test", "classes")),
                ("backdoors.smoothing.sound", "_Table", ()),
                ("autograder.checking", "Table", ()),
                ("os", "system", ()),
            )
        )
        return ["dataclass", self._slot(module), self._slot(name), self._slot([self._slot([self._slot(field), self._value(depth)]) for field in fields])]

    def _handle(self, depth):
        number = self.rng.choice((self.rng.choice(self.handles), self.rng.randrange(20), -1, 2**63))
        return (
            ["yours", self._slot(number)]
            if self.rng.random() < 0.4
            else ["mine", self._slot(number), self._slot(self.rng.choice(("function", "x" * 500, "\x1b\u202e")))]
        )

    def _model(self, depth):
        rng, sizes = self.rng, [1, 2]
        config = [
            ["in_features", self._slot(1)],
            ["hidden", self._slot(["tuple", [self._slot(2) for _ in sizes]])],
            ["classes", self._slot(rng.choice((1, 1, 3)))],
        ]
        shapes = ([2, 1], [2], [2, 2], [2], [1, 2], [1])
        if rng.random() < 0.3:
            config = [["channels", self._slot(1)], ["size", self._slot(4)], ["classes", self._slot(1)]]
            shapes = ([16, 1, 3, 3], [16], [32, 16, 3, 3], [32], [1, 32], [1])
        weights = [["tensor", self._slot(rng.choice(("float32", "float64"))), self._slot(shape)] for shape in shapes]
        self.body += b"".join(bytes(math.prod(shape) * (8 if weight[1:2] == ["float64"] else 4)) for weight, shape in zip(weights, shapes, strict=True))
        return [
            "model",
            self._slot("MLP" if len(shapes[0]) == 2 else "CNN"),
            self._slot(["dict", config]),
            self._slot(rng.choice((True, False))),
            self._slot(weights),
        ]

    def _network(self, depth):
        rng, width = self.rng, 2
        layers = []
        for _ in range(rng.choice((1, 2, 2, 3))):
            kind, size = rng.choice(("Perceptrons", "SparsePerceptrons", "Pick", "Parallel")), rng.choice((1, 2, 3))
            dense = ["network", "Perceptrons", self._slot([self._floats([size, width]), self._floats([size])])]
            if kind == "SparsePerceptrons":
                parts = [self._floats([2]), self._places([0, width - 1]), self._places([0] + [1] * (size - 1)), self._floats([size]), self._slot(width)]
                dense = ["network", kind, self._slot(parts)]
            if kind == "Pick":
                dense = ["network", kind, self._slot([["list", [self._slot(rng.randrange(width)) for _ in range(size)]], self._slot(width)])]
            layers.append(["network", kind, self._slot([["list", [dense]]])] if kind == "Parallel" else dense)
            width = size
        return ["network", self._slot("Sequential"), self._slot(layers)]

    def _floats(self, shape):
        self.body += np.full(math.prod(shape), self.rng.choice((0.5, -1.5, 0.0, math.inf, math.nan, 1.0, 1.0)), dtype="float32").tobytes()
        return ["tensor", self._slot("float32"), self._slot(shape)]

    def _places(self, places):
        self.body += np.array(places, dtype="int64").tobytes()
        return ["tensor", self._slot("int64"), self._slot([len(places)])]

    def _field(self, depth):
        order = self.rng.choice((2, 4, 256, 2**12, 6, 0, -1, 2**16 + 1, 2**64 - 1, True))
        return ["galois", self._slot(order), self._slot(self._array(depth, "array") if self.rng.random() < 0.3 else self._numbers())]

    def _numbers(self):
        count, dtype = self.rng.randrange(4), self.rng.choice(("uint8", "int16", "int64", "uint16"))
        self.body += np.array([self.rng.choice((0, 1, 1, 3, 200)) for _ in range(count)], dtype=dtype).tobytes()
        return ["array", dtype, [count]]

    def _damaged(self, frame: bytes) -> bytes:
        rng, data = self.rng, bytearray(frame)
        for _ in range(rng.choice((1, 1, 2, 5))):
            at = rng.randrange(len(data)) if data else 0
            how = rng.randrange(8)
            if how == 0:
                del data[at:]
            elif how == 1:
                data += rng.randbytes(rng.randrange(20))
            elif how == 2:  # lies about lengths
                data[: HEADER.size] = HEADER.pack(
                    rng.choice((CALL, ANSWER, b"x")), rng.choice((0, len(data), 2**22, 2**32 - 1)), rng.choice((0, 8, 2**27, 2**63))
                )
            elif how == 3:
                data[at : at + rng.randrange(9)] = rng.choice(
                    (b"\xdd\xff\xff\xff\xff", b"\xdc\xff\xff", b"\xdb\x7f\xff\xff\xff", b"\xc9\0\0\0\1", b"\x91" * 50, b"\xc1")
                )
            elif how == 4:
                data[at:at] = data[at : at + rng.randrange(40)]
            else:
                data[at : at + 1] = bytes((rng.randrange(256),))
        if rng.random() < 0.5 and len(data) > HEADER.size:  # the lengths of the header fitted to the damage
            size = min(struct.unpack_from(">I", frame, 1)[0], len(data) - HEADER.size)
            data[: HEADER.size] = HEADER.pack(frame[:1], size, len(data) - HEADER.size - size)
        return bytes(data)


PLAIN_DRAWS = (Forger._sequence, Forger._sequence, Forger._dict, Forger._integer, Forger._complex, Forger._array, Forger._array, Forger._tricks)
DRAWS = (*PLAIN_DRAWS, Forger._generator, Forger._types, Forger._record, Forger._handle, Forger._handle)
COSTLY = (Forger._model, Forger._model, Forger._network, Forger._network, Forger._field, Forger._colliding)
TAGS = (
    "list",
    "tuple",
    "set",
    "frozenset",
    "dict",
    "int",
    "complex",
    "array",
    "tensor",
    "generator",
    "dtype",
    "device",
    "galois",
    "dataclass",
    "model",
    "network",
    "mine",
    "yours",
)


def oracles(depths: list[int], end: End) -> list:
    """What a check may hand to a student's function."""

    def apply(function, *args):
        depths.append(end.depth)
        return function(*args)

    def refuse(*args):
        raise ValueError("a budget is spent\ud800")

    return [
        Oracle(lambda batch, *rest: batch.sum(axis=0), 100),
        apply,
        apply,
        lambda *args, **kwargs: [args, kwargs],
        refuse,
        object(),
        lent(math.comb),
        models.MLP(2, (), 2, torch.Generator()).forward,
    ]


def converse(forger: Forger, end: End, most: int) -> int:
    """One call of the challenger, to a student who calls back at will before each answer. How many frames of the student's were read, at most `most`."""
    read, depths = itertools.count(1), []
    handed = oracles(depths, end)

    def exchange(frame: bytes) -> bytes:
        forger.handles = list(end.given) or [1]
        while next(read) < most and forger.rng.random() < 0.5:
            answer = end.serve(forger.frame(CALL))
            message = msgpack.unpackb(answer[HEADER.size : HEADER.size + HEADER.unpack_from(answer)[1]])
            assert answer[:1] == ANSWER
            assert message[0] == "return" or [type(part) for part in message] == [str, str, str]
        return forger.frame(ANSWER)

    end.exchange = exchange
    with contextlib.suppress(ProtocolError, StudentError):
        assert well_formed(end.call("f", *handed), end)
    assert end.depth == 0
    assert max(depths, default=0) <= 16
    return next(read) - 1


def attack(forger: Forger, end: End, most: int = 40) -> int:
    """Sends a few hostile frames by one of the ways in which they come. How many it was."""
    way = forger.rng.random()
    if way < 0.3:
        return converse(forger, end, most)
    with contextlib.suppress(ProtocolError):
        if way < 0.5:
            end.serve(forger.frame(CALL))
        else:
            kind = forger.rng.choice((CALL, ANSWER))
            assert all(well_formed(part, end) for part in end.unpack(forger.frame(kind), kind))
    return 1


@pytest.mark.parametrize("share", range(SHARES))
def test_hostile_frames_are_refused_or_well_formed(share, request):
    rng, sent = random.Random(share), 0
    while sent < request.config.getoption("--frames") // SHARES:
        forger, end = Forger(rng), End()
        for thing in oracles([], end):
            end.encode(thing, [], 1)
        for _ in range(20):
            started = time.process_time()
            sent += attack(forger, end)
            assert time.process_time() - started < SECONDS


def test_the_forger_draws_honest_frames_too_and_of_every_tag():
    """Else the fuzz would show only that rubbish is refused."""
    rng, accepted, seen = random.Random(100), 0, set()
    for _ in range(3000):
        forger, end = Forger(rng, error=0, damage=0), End()
        end.encode(len, [], 1)
        frame = forger.frame(ANSWER)
        with contextlib.suppress(ProtocolError):
            end.unpack(frame, ANSWER)
            accepted += 1
            seen |= {tag for tag in TAGS if msgpack.packb([tag])[1:] in frame}
    assert accepted > 1500
    assert seen == set(TAGS)


hunt = settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


@settings(hunt, max_examples=500)
@given(st.randoms(use_true_random=False))
def test_hypothesis_finds_no_frame_that_is_neither(rng):
    end = End()
    for thing in oracles([], end):
        end.encode(thing, [], 1)
    attack(Forger(rng), end, 12)


scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary() | st.sampled_from((*TAGS, *TORCH))
extensions = st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=5))
trees = st.recursive(scalars | extensions, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(scalars, inner, max_size=2), max_leaves=16)
tagged = st.recursive(
    scalars,
    lambda inner: st.builds(lambda tag, *rest: [tag, *rest], st.sampled_from(TAGS), inner | st.lists(inner, max_size=4), inner) | st.lists(inner),
    max_leaves=16,
)


@settings(hunt, max_examples=500)
@given(st.lists(trees | tagged, max_size=3), st.binary(max_size=64), st.sampled_from((CALL, ANSWER)))
def test_hypothesis_finds_no_message_that_is_neither(message, body, kind):
    header, end = msgpack.packb(message), End()
    with contextlib.suppress(ProtocolError):
        assert all(well_formed(part, end) for part in end.unpack(HEADER.pack(kind, len(header), len(body)) + header + body, kind))


@settings(hunt, max_examples=1000)
@given(st.binary(max_size=200), st.binary(max_size=16), st.booleans())
def test_hypothesis_finds_no_bytes_that_are_neither(header, body, framed):
    end = End()
    with contextlib.suppress(ProtocolError):
        frame = HEADER.pack(ANSWER, len(header), len(body)) + header + body if framed else header
        assert all(well_formed(part, end) for part in end.unpack(frame, ANSWER))


def test_call_backs_nest_to_depth_16_and_no_deeper():
    """A student who answers every call with a call of what calls back: ["mine", ...] is its own function."""
    end, depths = End(), []
    apply = oracles(depths, end)[1]
    calls, refused = itertools.count(), []
    call = StudentEnd({}).pack(CALL, [1, [lambda: None], {}])

    def exchange(frame):
        if next(calls) < 100:
            answer = end.serve(call)
            refused.append(b"nested deeper" in answer)
        return StudentEnd({}).pack(ANSWER, ["return", None])

    end.exchange = exchange
    assert end.call("f", apply) is None
    assert depths == list(range(1, 17))
    assert refused == [True] + [False] * 16


# a real pipe


class Brief(Patience):
    def __init__(self, seconds: float):
        self.deadline = time.monotonic() + seconds

    def check(self) -> None:
        if time.monotonic() > self.deadline:
            raise StudentTimeout("too long")


@pytest.mark.parametrize("seed", range(3))
def test_hostile_frames_on_a_pipe_in_pieces_end_in_an_error_of_the_student_s(seed):
    """1000 frames each: written in pieces of any size, with pauses, cut off at the end or left open there."""
    rng = random.Random(1000 + seed)
    for _ in range(40):
        ours, theirs = socket.socketpair()
        ours.settimeout(0.01)
        end, forger = End(), Forger(rng)
        protocol.join(end, ours, Brief(2))
        stream = b"".join(forger.frame(rng.choice((CALL, ANSWER, ANSWER))) for _ in range(25))
        stream, left_open = stream[: len(stream) - rng.choice((0, 0, 1, 30))], rng.random() < 0.1
        cuts = sorted(rng.randrange(len(stream)) for _ in range(rng.choice((0, 3, 30))))

        def write(theirs=theirs, stream=stream, cuts=cuts, left_open=left_open):
            with contextlib.suppress(OSError):
                for a, b in itertools.pairwise((0, *cuts, len(stream))):
                    theirs.sendall(stream[a:b])
                    time.sleep(0.0005)
                theirs.shutdown(socket.SHUT_WR)
                while not left_open and theirs.recv(1 << 16):
                    pass

        writer = threading.Thread(target=write)
        writer.start()
        handed, ended = oracles([], end), None
        while ended is None:
            try:
                assert well_formed(end.call("f", *handed), end)
            except (EOFError, StudentTimeout) as error:
                ended = error
            except (ProtocolError, StudentError):
                pass
        ours.close()
        writer.join(20)
        assert not writer.is_alive()
        theirs.close()


# what the costliest frames cost

MIB = 1 << 20
BUDGET = 32 * MIB  # whatever the frame: the pages of libraries' code, blocks in which a pipe is read, the most generators and layers


def allowed(header: int, body: int) -> int:
    """Bytes of memory that a frame may take in all; for the largest one 800 MiB."""
    return protocol.MAX_GROWTH * header + 2 * body + BUDGET


def repeated(item, size: int = MIB, body: bytes = b"", most: int = 10**9) -> tuple[bytes, bytes]:
    """A header of about `size` bytes that holds a list of as many `item`s, at most `most`, as fit in."""
    one = msgpack.packb(item)
    count = min((size - 20) // len(one), most)
    return b"\x92\xa6return\x92\xa4list\xdd" + struct.pack(">I", count) + one * count, body * count


def equal_hashes(length: int) -> list:
    """A set of 64 tuples of equal hashes, which differ in the last of `length` members."""
    return ["set", [["tuple", [0] * (length - 1) + [["int", (k * (2**61 - 1)).to_bytes(9, "big")]]] for k in range(64)]]


def same_slots(count: int) -> list:
    """A set of integers, no two of the same hash, that begin to look for a place where all others do."""
    return ["set", [k << 40 for k in range(count)]]


END = End()
WEIGHTS: list[bytes] = []
MODEL = END.encode(models.MLP(1, (1,), 1, torch.Generator()), WEIGHTS, 1)
LAYER = ["network", "Pick", [["list", [0]], 1]]
CERTIFICATE = END.encode(Certificate(1, 0.5, 0.9, ""), [], 1)
FULL = protocol.MAX_HEADER
COSTS = {
    "empty lists": lambda: (b"\xdd" + struct.pack(">I", FULL - 5) + b"\x90" * (FULL - 5), b""),
    "sets": lambda: repeated(["set", []]),
    "tensors of one number": lambda: repeated(["tensor", "int8", []], FULL, b"\1"),
    "tensors of 16 dimensions": lambda: repeated(["tensor", "int8", [1] * 16], MIB, b"\1"),
    "empty tensors": lambda: repeated(["tensor", "bool", [0]]),
    "arrays": lambda: repeated(["array", "bool", []], MIB, b"\1"),
    "lists": lambda: repeated(["list", []]),
    "dicts": lambda: repeated(["dict", [[1, 2]]]),
    "frozensets": lambda: repeated(["frozenset", [1]]),
    "strings": lambda: repeated("ab"),
    "big integers": lambda: repeated(["int", b"\1" * 9]),
    "handles": lambda: repeated(["mine", 0, ""]),
    "long names of handles": lambda: repeated(["mine", 0, "\u202e" * 300]),
    "dtypes": lambda: repeated(["dtype", "numpy", "bool"]),
    "dataclasses": lambda: repeated(CERTIFICATE),
    "generators": lambda: repeated(["generator", "torch", 0], most=1024),
    "too many generators": lambda: repeated(["generator", "numpy", 0]),
    "networks": lambda: repeated(MODEL, MIB, b"".join(WEIGHTS), most=300),
    "too many networks": lambda: repeated(MODEL, MIB, b"".join(WEIGHTS)),
    "layers": lambda: repeated(LAYER, most=1024),
    "too many layers": lambda: repeated(LAYER),
    "the largest layers": lambda: repeated(
        ["network", "Perceptrons", [["tensor", "float32", [2, 2**18 - 1]], ["tensor", "float32", [2]]]], most=64, body=bytes(2**21)
    ),
    "a layer that is too large": lambda: repeated(
        ["network", "Perceptrons", [["tensor", "float32", [2, 2**18]], ["tensor", "float32", [2]]]], most=1, body=bytes(2**21 + 8)
    ),
    "nesting": lambda: repeated(["list", [["list", [["list", [["list", [["list", []]]]]]]]]]),
    "lists that say they are long": lambda: ((b"\xdd" + struct.pack(">I", FULL - 6000)) * 900 + b"\1" * (FULL - 4500), b""),
    "equal hashes": lambda: repeated(equal_hashes(1000), FULL),
    "equal hashes of short tuples": lambda: repeated(equal_hashes(2)),
    "the same slots": lambda: repeated(same_slots(100_000), FULL),
    "a size that is a text": lambda: (msgpack.packb(["return", ["array", "bool", ["x", 2**36]]]), b""),
    "a size that is bytes": lambda: (msgpack.packb(["return", ["tensor", "float64", [2**31, b"x"]]]), b""),
    "the largest boolean array": lambda: (msgpack.packb(["return", ["array", "bool", [protocol.MAX_BODY]]]), bytes(protocol.MAX_BODY)),
    "the largest tensor": lambda: (msgpack.packb(["return", ["tensor", "float64", [protocol.MAX_BODY // 8]]]), bytes(protocol.MAX_BODY)),
}


REFUSED = ("empty lists", "too many generators", "too many networks", "too many layers", "a layer that is too large", "lists that say they are long")
REFUSED += ("a size that is a text", "a size that is bytes")


def memory(name: str) -> int:
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name + ":"))


@pytest.mark.parametrize("name", COSTS)
def test_no_frame_costs_more_than_is_stated(name):
    """Read from a pipe and decoded in a forked process that may take no more address space than is allowed, and 40 s of CPU."""
    header, body = COSTS[name]()
    frame, bound = HEADER.pack(ANSWER, len(header), len(body)) + header + body, allowed(len(header), len(body))
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        try:
            theirs.close()
            torch.set_num_threads(1)  # as in the grader: the other threads of this process are not in its fork
            resource.setrlimit(resource.RLIMIT_CPU, (40, 40))
            resource.setrlimit(resource.RLIMIT_AS, (memory("VmSize") + bound,) * 2)
            before, started, outcome = memory("VmRSS"), time.process_time(), "decoded"
            try:
                END.unpack(protocol.receive(ours, Patience()), ANSWER)
            except ProtocolError as error:
                outcome = f"refused: {error}"
            result = {"outcome": outcome, "grown": memory("VmHWM") - before, "seconds": time.process_time() - started}
            ours.sendall(json.dumps(result).encode())
        finally:
            os._exit(0)
    ours.close()
    with contextlib.suppress(OSError):
        theirs.sendall(frame)
    result = json.loads(theirs.makefile().read())
    os.waitpid(pid, 0)
    assert "Memory" not in result["outcome"]
    assert result["grown"] <= bound
    assert result["seconds"] <= SECONDS
    assert (result["outcome"] == "decoded") == (name not in REFUSED)


def test_the_largest_frame_may_take_800_mib():
    assert allowed(protocol.MAX_HEADER, protocol.MAX_BODY) == 800 * MIB

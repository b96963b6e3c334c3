"""Frames that break the rules, one by one; pipes that stall; and bytes that the student's code writes onto the pipe itself."""

import contextlib
import dataclasses
import math
import socket
import struct
import sys
import threading
import time

import msgpack
import numpy as np
import pytest
import torch
from backdoors.smoothing import sound

from autograder import protocol
from autograder.checking import Oracle
from autograder.protocol import ANSWER, CALL, HEADER, End, Patience, ProtocolError, StudentEnd, StudentError, StudentTimeout, join


def frame(message, body=b"", kind=ANSWER):
    header = msgpack.packb(message, unicode_errors="surrogatepass")
    return HEADER.pack(kind, len(header), len(body)) + header + body


def exchange_with(end, frames):
    """Joins `end` to a student who sends these frames, whatever comes."""
    frames = iter(frames)

    def exchange(_):
        for one in frames:
            if one[:1] == ANSWER:
                return one
            end.serve(one)
        raise EOFError

    end.exchange = exchange
    return end


def nested(depth: int):
    value = 1
    for _ in range(depth):
        value = ["list", [value]]
    return value


TABLE = [[field.name, 1] for field in dataclasses.fields(sound._Table)]
CERTIFICATE = [["label", 1], ["radius", 1.0], ["p_lower", 0.9], ["noise", "sound"]]
MLP = ["MLP", ["dict", [["in_features", 1], ["hidden", ["tuple", []]], ["classes", 1]]], True]
ONE = ["tensor", "float32", [1, 1]]
HOSTILE = [
    b"",
    frame([1])[:12],
    frame(None),
    frame([]),
    frame("list"),
    frame([["mine", "0", 1]]),
    frame([["mine", 1]]),
    frame([["mine", 1, "f", 2]]),
    frame([["yours", 5]]),
    frame([["yours", True]]),
    frame([["array", "object", [1]]], b"12345678"),
    frame([["array", "float64", [-1]]], b"12345678"),
    frame([["array", "float64", [True]]], b"12345678"),
    frame([["array", "float64", [1.0]]], b"12345678"),
    frame([["array", "float64", [2]]], b"12345678"),
    frame([["array", "float64", [1]], ["array", "float64", [1]]], b"12345678"),
    frame([["array", ">f8", [1]]], b"12345678"),
    frame([["array", "bool", [8]]], b"12345678"),
    frame([["tensor", "bool", [8]]], b"12345678"),
    frame([1], b"12345678"),
    frame([["array", "uint8", [1] * 40]], b"1"),
    frame([["array", "uint8", [2**16 + 1, 0]]]),
    frame([["array", "uint8", [2**16, 2**16, 0]]]),
    frame([["tensor", "uint8", [2**16] * 15 + [0]]]),
    frame([["set", [["int", (k * (2**61 - 1)).to_bytes(20, "big")] for k in range(100)]]]),
    frame([["dict", [[["int", (k * (2**61 - 1)).to_bytes(20, "big")], 1] for k in range(100)]]]),
    frame([["frozenset", [1] * 100]]),
    frame([["array", "float64", [2**40, 2**40]]], b"12345678"),
    frame([["tensor", "float32", "ab"]], b"12345678"),
    frame([["tensor", ["float32"], [1]]], b"12345678"),
    frame([["tensor", "Tensor", [1]]], b"12345678"),
    frame([["tensor", "complex32", [2]]], b"12345678"),
    frame([["tensor", "float8_e5m2", [8]]], b"12345678"),
    frame([["tensor", "quint8", [8]]], b"12345678"),
    frame([["tensor", "int8", b"\x08"]], b"12345678"),
    frame([["array", "int8", b"\x08"]], b"12345678"),
    frame([["array", "int8", ""]], b"1"),
    frame([["dataclass", "os", "system", []]]),
    frame([["dataclass", "backdoors", "Certificate", CERTIFICATE]]),
    frame([["dataclass", "backdoors.smoothing.certify", "norm", []]]),
    frame([["dataclass", "backdoors.smoothing.certify", "Tensor", []]]),
    frame([["dataclass", "backdoors.smoothing.certify", "certify", []]]),
    frame([["dataclass", "backdoors.smoothing.sound", "Certificate", CERTIFICATE]]),
    frame([["dataclass", "backdoors.smoothing.sound", "_Table", []]]),
    frame([["dataclass", "backdoors.smoothing.sound", "_Table", TABLE]]),
    frame([["dataclass", "backdoors.models", "Split", [["images", 1], ["labels", 1]]]]),
    frame([["dataclass", "backdoors.data", 5, []]]),
    frame([["dataclass", 5, "Split", []]]),
    frame([["dataclass", "backdoors.smoothing.__init__", "Certificate", CERTIFICATE]]),
    frame([["dataclass", "backdoors.smoothing.certify", "Certificate", CERTIFICATE[:3]]]),
    frame([["dataclass", "backdoors.smoothing.certify", "Certificate", [*CERTIFICATE, ["noise", 1]]]]),
    frame([["dataclass", "backdoors.smoothing.certify", "Certificate", [*CERTIFICATE, ["__class__", 1]]]]),
    frame([["dataclass", "backdoors.smoothing.certify", "Certificate", [CERTIFICATE[1], CERTIFICATE[0], *CERTIFICATE[2:]]]]),
    frame([["dataclass", "backdoors.nowhere", "X", []]]),
    frame([["dataclass", "backdoors." + "x" * 10_000, "X", []]]),
    frame([["generator", "torch", -1]]),
    frame([["generator", "numpy", 1.5]]),
    frame([["generator", "random", 1]]),
    frame([["list", [["generator", "torch", 0]] * 2000]]),
    frame([["dict", [[["list", []], 1]]]]),
    frame([["dict", [[True, 1]]]]),
    frame([["dict", [[1.5, 1]]]]),
    frame([["dict", [["a", 1, 2]]]]),
    frame([["dict", ["ab"]]]),
    frame([["set", [["list", []]]]]),
    frame([["set", "ab"]]),
    frame([["int", b"1" * 9000]]),
    frame([["int", "1"]]),
    frame([["complex", "1", "2"]]),
    frame([["complex", 1, 2]]),
    frame([["device", "cuda:٣"]]),
    frame([["device", "cuda:01"]]),
    frame([["device", "cpu\n"]]),
    frame([["device", "mps"]]),
    frame([["device", 0]]),
    frame([["dtype", "torch", "load"]]),
    frame([["dtype", "torch", ["float32"]]]),
    frame([["dtype", "os", "float32"]]),
    frame([["model", "Sequential", MLP[1], True, []]]),
    frame([["model", "train", MLP[1], True, []]]),
    frame([["model", "_layer", MLP[1], True, []]]),
    frame([["model", ["MLP"], MLP[1], True, []]]),
    frame([["model", *MLP, []]]),
    frame([["model", *MLP, [ONE, ONE]]], bytes(8)),
    frame([["model", *MLP, [ONE, ["tensor", "float32", [1]], ONE]]], bytes(12)),
    frame([["model", *MLP, [ONE, ["tensor", "int32", [1]]]]], bytes(8)),
    frame([["model", *MLP, [ONE, ["array", "float32", [1]]]]], bytes(8)),
    frame([["model", *MLP, [["tensor", "complex64", [1, 1]], ["tensor", "complex64", [1]]]]], bytes(16)),
    frame([["model", "MLP", MLP[1], 1, [ONE, ["tensor", "float32", [1]]]]], bytes(8)),
    frame([["model", "MLP", ["dict", [["in_features", 2**40], ["hidden", ["tuple", []]], ["classes", 2**40]]], True, []]]),
    frame([["model", "MLP", ["dict", [["in_features", 9], ["hidden", ["tuple", [9] * 100_000]], ["classes", 9]]], True, []]]),
    frame([["model", "MLP", ["dict", [["in_features", 1], ["hidden", ["list", []]], ["classes", 1]]], True, []]]),
    frame([["model", "MLP", ["dict", [["in_features", True], ["hidden", ["tuple", []]], ["classes", 1]]], True, [ONE, ["tensor", "float32", [1]]]]], bytes(8)),
    frame([["model", "MLP", ["dict", [["generator", 1], ["in_features", 1], ["hidden", ["tuple", []]], ["classes", 1]]], True, []]]),
    frame([nested(33)]),
    frame([nested(300)]),
    frame([["__class__"]]),
    frame([["items", []]]),
    frame([[["list"]]]),
    frame([[]]),
    frame([["list"]]),
    frame([["list", [], []]]),
    frame(["\ud800"]),
    frame([{"a": 1}]),
    frame([{}]),
    frame([["list", [{}]]]),
    frame([msgpack.ExtType(1, b"x")]),
    frame([msgpack.ExtType(1, b"")]),
    frame([msgpack.Timestamp(1)]),
    HEADER.pack(ANSWER, 3, 0) + b"\xc1\xc1\xc1",
    HEADER.pack(ANSWER, 1, 0) + b"\x91",
    HEADER.pack(ANSWER, 2, 0) + b"\x91\x01\x01",
    HEADER.pack(ANSWER, 1, 1) + b"\x91\x01",
    HEADER.pack(ANSWER, 2000, 0) + b"\x91" * 1999 + b"\x01",
    HEADER.pack(ANSWER, 5, 0) + b"\xdd\xff\xff\xff\xff",
    HEADER.pack(b"x", 2, 0) + b"\x91\x01",
    frame([1], kind=CALL),
]


@pytest.mark.parametrize("index", range(len(HOSTILE)))
def test_a_hostile_frame_is_refused(index):
    with pytest.raises(ProtocolError):
        End().unpack(HOSTILE[index], ANSWER)


@pytest.mark.parametrize(
    "module", ["this", "antigravity", "idlelib", "autograder.commands", "backdoors.__main__", "backdoors/../this", "backdoorsx.this", ".this", ""]
)
def test_no_frame_makes_an_end_load_a_module_outside_the_library(module):
    before = set(sys.modules)
    with pytest.raises(ProtocolError):
        End().unpack(frame([["dataclass", module, "X", []]]), ANSWER)
    assert set(sys.modules) == before


@pytest.mark.parametrize("order", [6, 0, 1, -7, 2**16 + 1, ["int", (2**89 - 1).to_bytes(12, "big")], True, "31", 31.0, None], ids=str)
def test_a_field_is_made_only_if_it_is_small_and_exists(order):
    with pytest.raises(ProtocolError):
        End().unpack(frame([["galois", order, ["array", "int64", [1]]]], bytes(8)), ANSWER)


def test_numbers_beyond_a_field_and_too_many_fields_are_refused():
    for numbers in (["array", "int64", [1]], ["array", "float64", [1]], ["list", [1]]):
        with pytest.raises(ProtocolError):
            End().unpack(frame([["galois", 2, numbers]], struct.pack("q", 2)), ANSWER)
    end = End()
    for power in range(1, 9):
        end.unpack(frame([["galois", 2**power, ["array", "int64", [1]]]], bytes(8)), ANSWER)
    with pytest.raises(ProtocolError, match="fields"):
        end.unpack(frame([["galois", 512, ["array", "int64", [1]]]], bytes(8)), ANSWER)


@pytest.mark.parametrize(
    "message",
    [
        [],
        [1],
        ["f", [], {}],
        [["array", "uint8", [2]], 1],
        ["return"],
        ["return", 1, 2],
        ["raise", 1, "x"],
        ["raise", "x"],
        ["passed", 1],
        [True, 1],
        [["list", ["return"]], 1],
    ],
)
def test_an_answer_is_a_value_or_an_error(message):
    with pytest.raises(ProtocolError):
        exchange_with(End(), [frame(message, b"\0\0" if "array" in str(message) else b"")]).call("f")


@pytest.mark.parametrize(
    "message",
    [
        [1, ["list", []]],
        [1.0, ["list", []], ["dict", []]],
        [True, ["list", []], ["dict", []]],
        [1, ["tuple", []], ["dict", []]],
        [1, ["list", []], ["dict", [[1, 2]]]],
        [1, ["list", []], None],
    ],
)
def test_a_call_has_a_target_arguments_and_keywords(message):
    with pytest.raises(ProtocolError):
        End().serve(frame(message, kind=CALL))


@pytest.mark.parametrize("target", [0, 1, 2, -1, 2**64 - 1, ["int", b"\1" * 5000], "eval", "!bind", "!start", "call", "resolve", "given", "__class__", "", "1"])
def test_a_call_reaches_nothing_but_what_was_given_and_not_taken_back(target):
    end, called = End(), []
    end.encode(lambda: called.append(1), [], 1)
    end.given.clear()
    kind, name, _ = StudentEnd({}).unpack(end.serve(frame([target, ["list", []], ["dict", []]], kind=CALL)), ANSWER)
    assert (kind, name) == ("raise", "NameError")
    assert called == []


# the pipe


@contextlib.contextmanager
def pipe(functions, patience=None):
    """The challenger's end of a real pipe whose other side a thread serves; `functions` of that side's socket are the student's."""
    ours, theirs = socket.socketpair()
    ours.settimeout(0.02)
    student, challenger = StudentEnd(functions(theirs)), End()
    join(challenger, ours, patience)
    join(student, theirs)

    def serve():
        with contextlib.suppress(EOFError, ProtocolError, OSError):
            while True:
                protocol.send(theirs, student.serve(protocol.receive(theirs, Patience())), Patience())
        theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield challenger
    finally:
        ours.close()
        thread.join(20)
        assert not thread.is_alive()


class Until(Patience):
    """Gives up after a time."""

    def __init__(self, seconds: float):
        self.deadline = time.monotonic() + seconds

    def check(self) -> None:
        if time.monotonic() > self.deadline:
            raise StudentTimeout("too long")


def test_the_pipe_carries_calls_both_ways_and_says_when_the_other_side_is_gone():
    def functions(stream):
        return {"total": lambda f, x: float(f(x).sum()), "leave": lambda: stream.shutdown(socket.SHUT_RDWR)}

    with pipe(functions) as challenger:
        assert challenger.call("total", lambda x: 2 * x, torch.ones(1000, 300)) == 600_000
        assert challenger.call("total", lambda x: x, np.ones(3)) == 3
        with pytest.raises(EOFError):
            challenger.call("leave")
        with pytest.raises(EOFError):
            challenger.call("total", lambda x: x, np.ones(3))


@pytest.mark.parametrize("sizes", [(2**31, 0), (0, 2**63), (protocol.MAX_HEADER + 1, 0), (0, protocol.MAX_BODY + 1)])
def test_an_oversized_frame_is_refused_before_it_is_read(sizes):
    ours, theirs = socket.socketpair()
    ours.settimeout(0.02)
    theirs.sendall(HEADER.pack(CALL, *sizes))
    with pytest.raises(ProtocolError):
        protocol.receive(ours, Until(20))


def test_whoever_stops_in_the_middle_or_sends_a_byte_at_a_time_is_waited_for_as_long_as_patience_lasts():
    whole = frame(["return", 1])
    for cut in (0, 1, HEADER.size - 1, HEADER.size, len(whole) - 1):
        ours, theirs = socket.socketpair()
        ours.settimeout(0.02)
        theirs.sendall(whole[:cut])
        with pytest.raises(StudentTimeout):
            protocol.receive(ours, Until(0.1))
        theirs.close()
        with pytest.raises(EOFError):
            protocol.receive(ours, Until(20))
    ours, theirs = socket.socketpair()
    ours.settimeout(0.02)

    def dribble():
        with contextlib.suppress(OSError):
            theirs.sendall(HEADER.pack(ANSWER, 4 << 20, 0))
            while True:
                theirs.sendall(b"\1")
                time.sleep(0.002)

    thread = threading.Thread(target=dribble)
    thread.start()
    with pytest.raises(StudentTimeout):
        protocol.receive(ours, Until(0.2))
    ours.close()
    thread.join(20)
    assert not thread.is_alive()


def test_whoever_takes_a_little_at_a_time_is_waited_for_as_long_as_patience_lasts():
    ours, theirs = socket.socketpair()
    ours.settimeout(0.5)

    def sip():
        with contextlib.suppress(OSError):
            while theirs.recv(1 << 15):
                time.sleep(0.01)

    thread = threading.Thread(target=sip)
    thread.start()
    started = time.monotonic()
    with pytest.raises(StudentTimeout):
        protocol.send(ours, bytes(64 << 20), Until(0.2))
    assert time.monotonic() - started < 5
    ours.close()
    thread.join(20)
    assert not thread.is_alive()


# bytes that student code writes onto the pipe itself


def played(functions, rounds=12, budget=5):
    """A check as checks are: fresh inputs in every round, an oracle with a budget. How many rounds the student wins, and the oracles."""
    rng, oracles, won = np.random.default_rng(5), [], 0
    with pipe(functions, Until(20)) as challenger:
        for _ in range(rounds):
            secret, x = float(rng.normal()), float(rng.normal())
            challenger.given.clear()
            oracles.append(Oracle(lambda batch, secret=secret: batch * secret, budget))
            with contextlib.suppress(StudentError, ProtocolError, EOFError):
                answer = challenger.call("multiply", oracles[-1], x)
                won += type(answer) is float and answer == secret * x
    return won, oracles


def honest(oracle, x):
    return float(oracle(np.array([[x]]))[0, 0])


def test_an_honest_student_wins_the_game():
    won, oracles = played(lambda stream: {"multiply": honest})
    assert won == 12
    assert all(oracle.queries == 1 for oracle in oracles)


FORGED = {
    "the challenger's right answer, as a word": [frame(["return", True])],
    "a result": [frame(["passed", 1000])],
    "an error that looks like a pass": [frame(["raise", "AssertionError", "passed"])],
    "every answer at once": [frame(["return", float(k)]) for k in range(100)],
    "a NaN": [frame(["return", math.nan])],
    "the handle itself": [frame(["return", ["yours", k]]) for k in range(1, 30)],
    "a call of a name": [frame([name, ["list", []], ["dict", []]], kind=CALL) for name in ("!bind", "eval", "exit")],
    "half a frame": [frame(["return", 1.0])[:-3]],
    "a frame too large": [HEADER.pack(ANSWER, 2**31, 0)],
    "rubbish": [b"\xff" * 1000],
}


@pytest.mark.parametrize("name", FORGED)
def test_forged_answers_win_nothing(name):
    def functions(stream):
        def multiply(oracle, x):
            for one in FORGED[name]:
                stream.sendall(one)
            return 0.0

        return {"multiply": multiply}

    won, oracles = played(functions)
    assert won == 0
    assert all(oracle.queries == 0 for oracle in oracles)


def test_answers_of_the_future_are_answers_to_questions_not_yet_asked():
    """Each right answer is followed by the one that would have been right for the same inputs again: the next rounds ask about others."""

    def functions(stream):
        def multiply(oracle, x):
            answer = honest(oracle, x)
            for _ in range(3):
                stream.sendall(frame(["return", answer]))
            return answer

        return {"multiply": multiply}

    won, _ = played(functions)
    assert won == 1


def test_calls_written_by_hand_cost_queries_as_others_do():
    def functions(stream):
        def multiply(oracle, x):
            call = frame([oracle._number, ["list", [["array", "float64", [2, 1]]]], ["dict", []]], struct.pack("dd", x, x), CALL)
            for _ in range(20):
                stream.sendall(call)
            answers = []
            for _ in range(20):
                received = protocol.receive(stream, Until(20))
                with contextlib.suppress(StudentError):
                    answers.append(StudentEnd({}).unpack(received, ANSWER))
            return float(answers[0][1][0, 0]) if [a[0] for a in answers] == ["return"] * 2 + ["raise"] * 18 else math.nan

        return {"multiply": multiply}

    won, oracles = played(functions)
    assert won == 12
    assert all(oracle.queries == 4 for oracle in oracles)


def test_calls_that_wait_in_the_pipe_reach_what_is_given_when_they_are_read():
    """Written in the first round for its own handle, which is void by then, and for that of the second, which costs queries of the second."""

    def functions(stream):
        def multiply(oracle, x):
            answer, first = honest(oracle, x), oracle._number
            late = [frame([n, ["list", [["array", "float64", [2, 1]]]], ["dict", []]], bytes(16), CALL) for n in (first, first + 1)]
            stream.sendall(b"".join([frame(["return", answer]), *late]))
            return answer

        return {"multiply": multiply}

    won, oracles = played(functions, rounds=2)
    assert won == 1
    assert [oracle.queries for oracle in oracles] == [1, 2]

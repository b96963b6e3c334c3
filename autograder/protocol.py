"""What crosses between challenger and adversary: values and calls, as length-prefixed msgpack frames. No pickle, in either direction.

Both ends run this file, and it imports nothing of the kit before a value asks for it. A value is None, bool, int, float, str or bytes, or a tagged list
`[tag, ...]`; the bytes of arrays follow the header of their frame. What is no value becomes a handle: the other end can call it and do nothing else.

Whatever a frame of the other end holds, decoding it raises `ProtocolError` or returns values of exact types and handles. It runs no code that the other end
chose, and takes at most MAX_GROWTH bytes of memory for every byte of the header, two for every byte of the arrays, and 32 MiB, all in all 800 MiB; beside
that, what galois takes to load and to make its fields.
"""

import builtins
import contextlib
import dataclasses
import importlib
import math
import re
import socket
import struct
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable

import msgpack
import numpy as np

HEADER = struct.Struct(">cIQ")  # call or answer, bytes of the msgpack header, bytes of the arrays behind it
CALL, ANSWER = b"c", b"a"
BIND = "!bind"  # no name of a notebook holds a "!"
MAX_HEADER = 4 << 20
MAX_BODY = 128 << 20
MAX_GROWTH = 128
MAX_NESTING = 32
MAX_CALL_DEPTH = 16
MAX_INTEGER_BITS = 1 << 16
MAX_HANDLES = 100_000
MAX_MESSAGE = 500
MAX_DIMENSIONS = 16
MAX_EMPTY = 1 << 16
MAX_EQUAL_HASHES = 64  # among the members of a set or the keys of a dict: every two of them cost a comparison
MAX_COSTLY = 1024  # generators, fields' arrays, layers and numbers of models' configs in a frame: they cost more than their bytes
MAX_ORDER = 1 << 16  # of a galois field: its tables take up to two seconds
MAX_LAYER = 2 << 20  # bytes of a layer of perceptrons
MAX_FIELDS = 8  # that an end makes for the other
PLAIN = frozenset((type(None), bool, int, float, str, bytes))
DTYPES = (
    *("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"),
    *("float16", "float32", "float64", "complex64", "complex128"),
)
TORCH_DTYPES = (*DTYPES, "bfloat16")
NETWORKS = ("Sequential", "Parallel", "Perceptrons", "SparsePerceptrons", "Pick")
LIBRARY = re.compile(r"backdoors(\.[a-z][a-z_0-9]*)+")


class ProtocolError(Exception):
    """A frame that breaks the rules."""


class StudentError(Exception):
    """The student's code raised, ended or ran out of its limits; the message is safe to show."""


class StudentTimeout(StudentError):
    """The student's code reached a limit of time."""


class Starved(StudentTimeout):
    """It reached the limit of wall time with less than half of its CPU time used: the machine may have been busy."""


def clean(text: object, limit: int = MAX_MESSAGE) -> str:
    """`text` on one line, without control, direction and surrogate characters, cut at `limit` characters."""
    text = str(text)[: 4 * limit]
    kept = ("" if unicodedata.category(c) in ("Cf", "Cs") else " " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text)
    line = " ".join("".join(kept).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


class Remote:
    """A handle on an object of the other end: it can be called, nothing else."""

    __slots__ = ("_end", "_number", "_kind")

    def __init__(self, end: "End", number: int, kind: str):
        self._end, self._number, self._kind = end, number, kind

    def __call__(self, /, *args, **kwargs):
        return self._end.call(self._number, *args, **kwargs)

    def __repr__(self):
        return f"<{self._kind}>"


class Body:
    """The bytes of a frame's arrays, in the order in which its header names them: every byte belongs to one array."""

    def __init__(self, view: memoryview):
        self.view, self.at, self.left = view, 0, MAX_COSTLY

    def take(self, shape, dtype) -> np.ndarray:
        """The bytes of the next array, as a writable copy. Raises ValueError where there are none."""
        if type(shape) is not list or len(shape) > MAX_DIMENSIONS or any(type(size) is not int or size < 0 for size in shape):  # a text times a size is long
            raise ProtocolError("an array of no shape")
        if 0 in shape and math.prod(size for size in shape if size) > MAX_EMPTY:  # a few bytes on the pipe, as many rows as one likes at this end
            raise ProtocolError("an empty array of too many rows")
        size = math.prod(shape) * dtype.itemsize
        self.at += size
        return np.frombuffer(self.view, np.uint8, size, self.at - size).copy()

    def spend(self, units: int) -> None:
        self.left -= units
        if self.left < 0:
            raise ProtocolError(f"more than {MAX_COSTLY} generators, fields' arrays and layers in a frame")

    def finish(self) -> None:
        if self.at != len(self.view):
            raise ProtocolError("bytes that belong to no array")


class End:
    """One end of the pipe: encodes, decodes, serves calls of the other end and makes its own.

    `exchange` sends the frame of a call and returns the frame that answers it, serving the calls that come in between; whoever joins two ends sets it.
    """

    exchange: Callable[[bytes], bytes]
    caught: type[BaseException] = Exception  # what ends a call of the other end, and not this process

    def __init__(self):
        self.given: dict[int, object] = {}  # objects that the other end holds handles on
        self.handles = 0  # handles given so far: no number is used twice
        self.fields: set[int] = set()  # orders of the galois fields that crossed
        self.depth = 0
        self.verdict: AssertionError | None = None

    def resolve(self, name: str):
        """The callable that the other end means by `name`."""
        raise NameError(name)

    def error(self, name: str, message: str) -> Exception:
        """The exception that stands for one of the other end."""
        return StudentError(clean(f"{name}: {message}" if message else name))

    def begin(self, exercise: str) -> None:
        """A check of `exercise` begins."""

    def finish(self) -> None:
        """The check is over."""

    def call(self, target: str | int, /, *args, **kwargs):
        """Calls `target` (a name, or the number of a handle) at the other end."""
        if not self.depth:
            self.verdict = None
        answer = self.unpack(self.exchange(self.pack(CALL, [target, list(args), kwargs])), ANSWER)
        if self.verdict is not None:
            raise self.verdict
        if type(answer[0]) is str and answer[0] == "return" and len(answer) == 2:
            return answer[1]
        if all(type(part) is str for part in answer) and answer[0] == "raise" and len(answer) == 3:
            raise self.error(*answer[1:])
        raise ProtocolError("an answer is neither a value nor an error")

    def serve(self, frame: bytes) -> bytes:
        """Answers a call of the other end."""
        self.depth += 1
        try:
            if self.depth > MAX_CALL_DEPTH:
                raise RecursionError(f"calls across the pipe are nested deeper than {MAX_CALL_DEPTH}")
            function, args, kwargs = self._call_parts(frame)
            return self.pack(ANSWER, ["return", function(*args, **kwargs)])
        except (ProtocolError, StudentTimeout):
            raise
        except self.caught as error:
            return self.pack(ANSWER, ["raise", *self.describe(error)])
        finally:
            self.depth -= 1

    def describe(self, error: BaseException) -> tuple[str, str]:
        """Name and message under which an error of this end crosses."""
        if isinstance(error, AssertionError):  # of a check, in its own oracle: `call` raises it, whatever the student's code makes of it
            self.verdict = error
        return describe(error)

    def _call_parts(self, frame: bytes) -> tuple[Callable, list, dict]:
        parts = self.unpack(frame, CALL)
        if [type(part) for part in parts] not in ([int, list, dict], [str, list, dict]) or not all(type(key) is str for key in parts[2]):
            raise ProtocolError("a call without target, arguments or keywords")
        target, args, kwargs = parts
        if type(target) is str:
            return self.resolve(target), args, kwargs
        if target not in self.given:
            raise NameError("a handle that was never given, or was taken back")
        return self.given[target], args, kwargs

    # frames

    def pack(self, kind: bytes, message: list) -> bytes:
        """The frame of a message. Raises ValueError on values that are too large to cross."""
        buffers: list[bytes] = []
        header = msgpack.packb([self.encode(part, buffers, 1) for part in message])
        size = sum(map(len, buffers))
        if len(header) > MAX_HEADER or size > MAX_BODY:
            raise ValueError(f"at most {MAX_BODY >> 20} MiB of arrays and {MAX_HEADER >> 20} MiB of other values cross at once, got {size} and {len(header)} B")
        return b"".join([HEADER.pack(kind, len(header), size), header, *buffers])

    def unpack(self, frame: bytes, kind: bytes) -> list:
        """The message of a frame of the other end. Raises ProtocolError on whatever breaks the rules."""
        actual, size, _ = _sizes(frame)
        if actual != kind:
            raise ProtocolError("an answer where a call is due, or a call where an answer is")
        view = memoryview(frame)[HEADER.size :]
        body = Body(view[size:])
        try:
            message = _message(view[:size])
            if type(message) is not list or not message:
                raise ProtocolError("a frame holds no list")
            parts = self._items(body, 1, message)
        except (ProtocolError, StudentError):
            raise
        except Exception as error:  # many kinds: what msgpack, Python, numpy or torch cannot take is not looked for before it is handed to them
            raise ProtocolError(f"a damaged frame: {type(error).__name__}") from None
        body.finish()
        return parts

    # values

    def encode(self, value, buffers: list[bytes], level: int):
        if level > MAX_NESTING:
            raise ValueError(f"a value is nested deeper than {MAX_NESTING}")
        kind, torch, galois = type(value), sys.modules.get("torch"), sys.modules.get("galois")
        if kind is int:
            return value if -(2**63) <= value < 2**64 else ["int", _integer_bytes(value)]
        if kind in PLAIN:
            return value
        if kind in (list, tuple, set, frozenset):
            return [kind.__name__, [self.encode(item, buffers, level + 1) for item in value]]
        if kind is dict:
            return ["dict", [[self._encode_key(key, buffers, level + 1), self.encode(item, buffers, level + 1)] for key, item in value.items()]]
        if kind is complex:
            return ["complex", value.real, value.imag]
        if isinstance(value, np.generic):
            python = complex if isinstance(value, np.complexfloating) else float if isinstance(value, np.floating) else kind.item
            return self.encode(python(value), buffers, level)
        if kind is np.ndarray and value.dtype.name in DTYPES:
            buffers.append(np.asarray(value, value.dtype.name).tobytes())
            return ["array", value.dtype.name, list(value.shape)]
        if torch is not None and isinstance(value, torch.Tensor) and value.layout == torch.strided and _name(value.dtype) in TORCH_DTYPES:
            plain = value.detach().to("cpu").resolve_conj().resolve_neg().contiguous()
            plain = plain.as_strided((plain.numel(),), (1,))  # not reshape: of one number it keeps any stride, and no view of bytes is allowed
            buffers.append(plain.view(torch.uint8).numpy().tobytes() if len(plain) else b"")
            return ["tensor", _name(value.dtype), list(value.shape)]
        if torch is not None and kind is torch.Generator:
            return ["generator", "torch", int(torch.randint(2**62, (1,), generator=value, device=value.device))]
        if kind is np.random.Generator:
            return ["generator", "numpy", int(value.integers(2**62))]
        if isinstance(value, np.dtype) and value.name in DTYPES:
            return ["dtype", "numpy", value.name]
        if torch is not None and kind is torch.dtype:
            return ["dtype", "torch", _name(value)]
        if torch is not None and kind is torch.device:
            return ["device", str(value)]
        if galois is not None and isinstance(value, galois.FieldArray):
            if kind.order > MAX_ORDER or kind is not galois.GF(kind.order):
                raise ValueError(f"an array of galois.GF(q) crosses where q <= {MAX_ORDER} and galois itself chose the polynomial, got {kind.name}")
            self.fields.add(kind.order)
            return ["galois", kind.order, self.encode(value.view(np.ndarray), buffers, level + 1)]
        if _is_record(kind):
            fields = [[field.name, self.encode(getattr(value, field.name), buffers, level + 1)] for field in dataclasses.fields(value)]
            return ["dataclass", kind.__module__, kind.__name__, fields]
        if kind.__module__ == "backdoors.models" and _is_as_built(value):
            weights = [self.encode(tensor, buffers, level + 1) for tensor in value.state_dict().values()]
            return ["model", kind.__name__, self.encode(value.config, buffers, level + 1), value.training, weights]
        if torch is not None and isinstance(value, torch.nn.Module) and (parts := _parts_of(value)) is not None:
            return ["network", kind.__name__, [self.encode(part, buffers, level + 1) for part in parts]]
        if kind is Remote and value._end is self:
            return ["yours", value._number]
        if len(self.given) >= MAX_HANDLES:
            raise ValueError(f"more than {MAX_HANDLES} objects were handed over")
        self.handles += 1
        self.given[self.handles] = value
        return ["mine", self.handles, kind.__name__[:80]]

    def _encode_key(self, key, buffers: list[bytes], level: int):
        if type(key) not in (str, int, tuple) and not isinstance(key, np.integer | np.str_):
            raise TypeError(f"a dict crosses with keys that are str, int or tuple, got a {type(key).__name__}")
        return self.encode(key, buffers, level)

    def decode(self, value, body: Body, level: int):
        if type(value) in PLAIN:
            return value
        if level > MAX_NESTING:
            raise ProtocolError(f"a value is nested deeper than {MAX_NESTING}")
        return getattr(self, f"_decode_{value[0]}")(body, level + 1, *value[1:])  # no attribute of such a name is anything but a decoder

    def _items(self, body, level, items) -> list:
        if type(items) is not list:
            raise ProtocolError("items that are no list")
        return [item if type(item) in PLAIN else self.decode(item, body, level) for item in items]

    _decode_list = _items

    def _decode_tuple(self, body, level, items):
        return tuple(self._items(body, level, items))

    def _decode_set(self, body, level, items):
        return set(_hashable(self._items(body, level, items)))

    def _decode_frozenset(self, body, level, items):
        return frozenset(_hashable(self._items(body, level, items)))

    def _decode_dict(self, body, level, pairs):
        decoded = [self._items(body, level, pair) for pair in pairs]
        keys = _hashable([key for key, _ in decoded])
        if any(type(key) not in (str, int, tuple) for key in keys):
            raise ProtocolError("a key that is no str, int or tuple")
        return dict(decoded)

    def _decode_int(self, body, level, data):
        if len(data) * 8 > MAX_INTEGER_BITS + 8:
            raise ProtocolError("an integer beyond 64 kbit")
        return int.from_bytes(data, "big", signed=True)

    def _decode_complex(self, body, level, real, imaginary):
        if not type(real) is type(imaginary) is float:
            raise ProtocolError("a complex number that is no pair of floats")
        return complex(real, imaginary)

    def _decode_array(self, body, level, dtype, shape):
        if dtype not in DTYPES:
            raise ProtocolError("an array of an unknown type")
        data = body.take(shape, np.dtype(dtype))
        return (_bits(data) if dtype == "bool" else data.view(dtype)).reshape(shape)

    def _decode_tensor(self, body, level, dtype, shape):
        import torch

        if dtype not in TORCH_DTYPES:
            raise ProtocolError("a tensor of an unknown type")
        data = body.take(shape, kind := getattr(torch, dtype))
        if not len(data):
            return torch.empty(shape, dtype=kind)
        return torch.from_numpy(_bits(data) if dtype == "bool" else data).view(kind).reshape(shape)

    def _decode_generator(self, body, level, library, seed):
        body.spend(1)
        if not 0 <= seed < 2**63 or library not in ("torch", "numpy"):
            raise ProtocolError("a damaged generator")
        if library == "numpy":
            return np.random.default_rng(seed)
        import torch

        return torch.Generator().manual_seed(seed)

    def _decode_dtype(self, body, level, library, name):
        if name not in TORCH_DTYPES or library not in ("torch", "numpy"):
            raise ProtocolError("an unknown dtype")
        return getattr(importlib.import_module("torch"), name) if library == "torch" else np.dtype(name)

    def _decode_device(self, body, level, name):
        import torch

        if not re.fullmatch(r"(cpu|cuda|meta)(:[0-9]{1,2})?", name):
            raise ProtocolError("an unknown device")
        return torch.device(name)

    def _decode_galois(self, body, level, order, numbers):
        body.spend(1)
        if not 2 <= order <= MAX_ORDER:
            raise ProtocolError(f"a field of an order beyond {MAX_ORDER}")
        if order not in self.fields and len(self.fields) >= MAX_FIELDS:
            raise ProtocolError(f"more than {MAX_FIELDS} fields")
        import galois

        field, numbers = galois.GF(order), self.decode(numbers, body, level)
        self.fields.add(order)
        return field(numbers, dtype=numbers.dtype)

    def _decode_dataclass(self, body, level, module, name, fields):
        """A frozen dataclass of the library of this end, built without running its code or anybody else's."""
        if not LIBRARY.fullmatch(module):
            raise ProtocolError("a dataclass of another library")
        cls = vars(importlib.import_module(module)).get(name)
        if not (isinstance(cls, type) and _is_record(cls) and cls.__module__ == module):
            raise ProtocolError("no frozen dataclass of the library")
        values = [(key, self.decode(item, body, level)) for key, item in fields]
        if [key for key, _ in values] != [field.name for field in dataclasses.fields(cls)]:
            raise ProtocolError("a dataclass with other fields")
        built = object.__new__(cls)
        for key, item in values:
            object.__setattr__(built, key, item)
        return built

    def _decode_model(self, body, level, name, config, training, weights):
        """A network of the library of this end: its shapes are built first, without numbers, and then the weights have to fit them."""
        import torch
        from backdoors import models

        config = self.decode(config, body, level)
        sizes = [size for value in config.values() for size in (value if type(value) is tuple else (value,))]
        body.spend(len(sizes))
        cls = vars(models).get(name)
        if not (isinstance(cls, type) and issubclass(cls, torch.nn.Module) and cls.__module__ == models.__name__ and all(type(size) is int for size in sizes)):
            raise ProtocolError("a network that the library does not have")
        model, weights = cls(**config, generator=None), self._items(body, level, weights)
        if not all(type(tensor) is torch.Tensor and tensor.is_floating_point() for tensor in weights):
            raise ProtocolError("weights that are no numbers")
        model.load_state_dict(dict(zip(model.state_dict(), weights, strict=True)), assign=True)
        return model.train(training)

    def _decode_network(self, body, level, name, parts):
        """A network of perceptrons, layer by layer, from what its library's constructors are given; they look at it themselves."""
        import torch
        from backdoors.constructions import perceptrons

        body.spend(1)
        if name not in NETWORKS:
            raise ProtocolError("a network of no kind that crosses")
        parts = self._items(body, level, parts)
        if sum(part.nbytes for part in parts if isinstance(part, torch.Tensor)) > MAX_LAYER:
            raise ProtocolError(f"a layer of more than {MAX_LAYER >> 20} MiB")
        children = parts if name == "Sequential" else parts[0] if name == "Parallel" else None
        if children == [] or any(type(child) not in (torch.nn.Sequential, *(getattr(perceptrons, kind) for kind in NETWORKS[1:])) for child in children or ()):
            raise ProtocolError("a network with a part of no kind that crosses")
        return torch.nn.Sequential(*parts) if name == "Sequential" else getattr(perceptrons, name)(*parts)

    def _decode_mine(self, body, level, number, kind):
        if type(number) is not int:
            raise ProtocolError("a damaged handle")
        return Remote(self, number, clean(kind, 80))

    def _decode_yours(self, body, level, number):
        return self.given[number]


class StudentEnd(End):
    """The end that holds a notebook's functions."""

    caught = BaseException  # SystemExit and KeyboardInterrupt too

    def __init__(self, namespace: dict):
        super().__init__()
        self.namespace = namespace
        self.replaced: dict = {}

    def resolve(self, name: str):
        if name == BIND:
            return self.bind
        if name not in self.namespace:
            raise NameError(f"the notebook defines no {name}")
        return self.namespace[name]

    def describe(self, error: BaseException) -> tuple[str, str]:
        """With the line of the notebook's own function in which it happened."""
        name, message = describe(error)
        frame, place = error.__traceback__, ""
        while frame is not None:
            code = frame.tb_frame.f_code
            if frame.tb_frame.f_globals is self.namespace and code.co_name != "<module>":
                place = f" (line {frame.tb_lineno - code.co_firstlineno + 1} of {code.co_name})"
            frame = frame.tb_next
        return name, message if name == "NotImplementedError" else f"{message}{place}"

    def bind(self, functions: dict) -> None:
        """Rebinds names of the notebook until the next call, which puts the notebook's own functions back first."""
        for name, own in self.replaced.items():
            self.namespace[name] = own
        self.replaced = {name: self.namespace.get(name) for name in functions}
        self.namespace.update(functions)

    def error(self, name: str, message: str) -> Exception:
        """An error of the challenger as the student's code sees it: the builtin type of that name, else RuntimeError."""
        kind = getattr(builtins, name, None)
        if isinstance(kind, type) and issubclass(kind, Exception):
            with contextlib.suppress(TypeError):  # UnicodeDecodeError and its like want more arguments
                return kind(message)
        return RuntimeError(f"{name}: {message}")


def loopback(namespace: dict) -> End:
    """The challenger's end of two that are joined in one process by the pipe's own frames: for `check` in a notebook and for tests."""
    challenger, student = End(), StudentEnd(namespace)
    challenger.exchange, student.exchange = student.serve, challenger.serve
    return challenger


class Patience:
    """How long to wait for the other end; `check` is called several times a second while nothing comes, and raises to give up."""

    def check(self) -> None:
        pass


def join(end: End, stream: socket.socket, patience: Patience | None = None) -> None:
    """Joins `end` to whoever holds the other side of the socket."""
    patience = patience or Patience()

    def exchange(frame: bytes) -> bytes:
        send(stream, frame, patience)
        while (answer := receive(stream, patience))[:1] == CALL:
            send(stream, end.serve(answer), patience)
        return answer

    end.exchange = exchange


def send(stream: socket.socket, frame: bytes, patience: Patience) -> None:
    view = memoryview(frame)
    while view:
        try:
            view = view[stream.send(view) :]
        except TimeoutError:
            pass
        except OSError as error:
            raise EOFError("the other side is gone") from error
        patience.check()  # also where the other side takes a little at a time


def receive(stream: socket.socket, patience: Patience) -> bytearray:
    """The next frame. Raises ProtocolError on one that is too large, and EOFError where the other side is gone."""
    frame = bytearray()
    _fill(stream, frame, HEADER.size, patience)
    _, size, body_size = _sizes(frame)
    _fill(stream, frame, HEADER.size + size + body_size, patience)
    return frame


def _sizes(frame: bytes) -> tuple[bytes, int, int]:
    """Kind of a frame, and bytes of its header and body."""
    if len(frame) < HEADER.size:
        raise ProtocolError("a frame that is cut off")
    kind, size, body_size = HEADER.unpack_from(frame)
    if size > MAX_HEADER or body_size > MAX_BODY:
        raise ProtocolError("a frame that is too large")
    return kind, size, body_size


def _fill(stream: socket.socket, frame: bytearray, size: int, patience: Patience) -> None:
    while len(frame) < size:
        try:
            data = stream.recv(min(size - len(frame), 1 << 20))
        except TimeoutError:
            patience.check()
            continue
        except OSError as error:
            raise EOFError("the other side is gone") from error
        if not data:
            raise EOFError("the other side is gone")
        frame += data
        patience.check()


def describe(error: BaseException) -> tuple[str, str]:
    """The builtin type of an error, or the nearest to its own, and its message, whatever its class does."""
    own = name = message = ""
    try:
        own = str(type(error).__name__)
        name = next(base.__name__ for base in type(error).__mro__ if base.__module__ == "builtins")
        message = str(error)[: 4 * MAX_MESSAGE]
    except BaseException:
        name = name or "Exception"
    if own != name:
        message = f"{own}: {message}" if message else own
    return name, message.encode(errors="replace").decode()


def _message(header: memoryview):
    """What a header holds: lists, and what is in PLAIN."""
    reader = msgpack.Unpacker(None, read_size=max(len(header), 1), max_buffer_size=MAX_HEADER)
    reader.feed(header)
    reader.skip()  # builds nothing: raises on lists of more items than there are bytes, for which unpackb may make room first
    return msgpack.unpackb(header, max_ext_len=0, max_map_len=0, ext_hook=_refuse)


def _refuse(*_):
    raise ProtocolError("an extension type")


def _hashable(members: list) -> list:
    """The members, if few of them have the same hash. Raises TypeError on what has none."""
    if max(Counter(map(hash, members)).values(), default=0) > MAX_EQUAL_HASHES:
        raise ProtocolError(f"a set or dict of more than {MAX_EQUAL_HASHES} members of the same hash")
    return members


def _bits(data: np.ndarray) -> np.ndarray:
    """Bytes as booleans, if they are."""
    if data.max(initial=0) > 1:
        raise ProtocolError("a boolean that is neither true nor false")
    return data.view(bool)


def _is_record(cls: type) -> bool:
    """Whether a class is a public frozen dataclass of the library."""
    public = not cls.__name__.startswith("_") and LIBRARY.fullmatch(cls.__module__)
    return bool(public and dataclasses.is_dataclass(cls) and cls.__dataclass_params__.frozen)


def _is_as_built(model) -> bool:
    """Whether a network of the library is still the one that its config describes."""
    return hasattr(model, "config") and repr(model) == repr(type(model)(**model.config, generator=None))


def _parts_of(value) -> list | None:
    """What the constructor of a network of perceptrons is to be given for the same network; None where it is anything else, or has been tampered with."""
    torch, perceptrons = sys.modules["torch"], sys.modules.get("backdoors.constructions.perceptrons")
    if type(value) is torch.nn.Sequential:
        children = list(value)
        return children if children and all(_parts_of(child) is not None for child in children) else None
    if perceptrons is None or "forward" in vars(value):
        return None
    if type(value) is perceptrons.Parallel:
        return [list(value.networks)] if all(_parts_of(child) is not None for child in value.networks) else None
    if type(value) is perceptrons.Perceptrons:
        return [value.weight, value.bias]
    if type(value) is perceptrons.SparsePerceptrons:
        return [value.weight, value.sources, value.offsets, value.bias, value.in_features]
    return [value.wires.tolist(), value.in_features] if type(value) is perceptrons.Pick else None


def _integer_bytes(value: int) -> bytes:
    if value.bit_length() > MAX_INTEGER_BITS:
        raise ValueError(f"an integer has more than {MAX_INTEGER_BITS} bits")
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


def _name(thing) -> str:
    return str(thing).removeprefix("torch.")

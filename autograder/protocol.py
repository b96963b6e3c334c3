"""What crosses between challenger and adversary: values and calls, as length-prefixed msgpack frames. No pickle, in either direction.

Both ends run this file, and it imports nothing of the kit. A value is None, bool, int, float, str or bytes, or a tagged list `[tag, ...]`; the bytes of
arrays follow the header of their frame. What is no value becomes a handle: the other end can call it and do nothing else. Whatever a frame of the other
end holds, decoding it raises `ProtocolError` or returns exact builtin types, real arrays and handles; it runs no code that the other end chose.
"""

import builtins
import dataclasses
import importlib
import math
import re
import socket
import struct
import sys
import unicodedata
from collections.abc import Callable

import msgpack
import numpy as np

HEADER = struct.Struct(">cIQ")  # call or answer, bytes of the msgpack header, bytes of the arrays behind it
CALL, ANSWER = b"c", b"a"
BIND = "!bind"  # no name of a notebook holds a "!"
MAX_HEADER = 4 << 20
MAX_BODY = 128 << 20
MAX_NESTING = 32
MAX_CALL_DEPTH = 16
MAX_INTEGER_BITS = 1 << 16
MAX_HANDLES = 100_000
MAX_MESSAGE = 500
MAX_DIMENSIONS = 16
MAX_EMPTY = 1 << 16
MAX_UNORDERED = 4096  # members of a set or dict: more could be made to collide, at quadratic cost
DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64", "complex64", "complex128")
TORCH_DTYPES = (*DTYPES, "bfloat16")


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

    def __call__(self, *args, **kwargs):
        return self._end.call(self._number, *args, **kwargs)

    def __repr__(self):
        return f"<{self._kind}>"


class Body:
    """The bytes of a frame's arrays, in the order in which its header names them; every byte belongs to one array."""

    def __init__(self, view: memoryview):
        self.view, self.at = view, 0

    def take(self, shape, itemsize: int) -> np.ndarray:
        """The bytes of the next array, as a writable copy."""
        if type(shape) is not list or len(shape) > MAX_DIMENSIONS or not all(type(size) is int and 0 <= size <= MAX_BODY for size in shape):
            raise ProtocolError("an array of no shape")
        if 0 in shape and max(shape) > MAX_EMPTY:  # a few bytes on the pipe, as many rows as one likes at this end
            raise ProtocolError("an empty array of too many rows")
        size = math.prod(shape) * itemsize
        if size > len(self.view) - self.at:
            raise ProtocolError("an array beyond its frame")
        self.at += size
        return np.frombuffer(self.view, np.uint8, size, self.at - size).copy()

    def finish(self) -> None:
        if self.at != len(self.view):
            raise ProtocolError("bytes that belong to no array")


class End:
    """One end of the pipe: encodes, decodes, serves calls of the other end and makes its own.

    `exchange` sends the frame of a call and returns the frame that answers it, serving the calls that come in between; whoever joins two ends sets it.
    """

    exchange: Callable[[bytes], bytes]

    def __init__(self):
        self.given: dict[int, object] = {}  # objects that the other end holds handles on
        self.handles = 0  # handles given so far: no number is used twice
        self.depth = 0

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

    def call(self, target: str | int, *args, **kwargs):
        """Calls `target` (a name, or the number of a handle) at the other end."""
        kind, *rest = self.unpack(self.exchange(self.pack(CALL, [target, list(args), kwargs])), ANSWER)
        if kind == "return" and len(rest) == 1:
            return rest[0]
        if kind == "raise" and len(rest) == 2 and all(type(part) is str for part in rest):
            raise self.error(*rest)
        raise ProtocolError("an answer is neither a value nor an error")

    def serve(self, frame: bytes) -> bytes:
        """Answers a call of the other end."""
        self.depth += 1
        try:
            target, args, kwargs = self._call_parts(frame)
            if self.depth > MAX_CALL_DEPTH:
                raise RecursionError(f"calls across the pipe are nested deeper than {MAX_CALL_DEPTH}")
            function = self.given[target] if type(target) is int and target in self.given else self.resolve(str(target))
            return self.pack(ANSWER, ["return", function(*args, **kwargs)])
        except (ProtocolError, StudentTimeout):
            raise
        except BaseException as error:  # also SystemExit and KeyboardInterrupt: they end the call, not the process
            return self.pack(ANSWER, ["raise", *self.describe(error)])
        finally:
            self.depth -= 1

    def describe(self, error: BaseException) -> tuple[str, str]:
        """Name and message under which an error of this end crosses."""
        return describe(error)

    def _call_parts(self, frame: bytes) -> list:
        parts = self.unpack(frame, CALL)
        if not (
            len(parts) == 3 and type(parts[0]) in (int, str) and type(parts[1]) is list and type(parts[2]) is dict and all(type(key) is str for key in parts[2])
        ):
            raise ProtocolError("a call without target, arguments or keywords")
        return parts

    # frames

    def pack(self, kind: bytes, message: list) -> bytes:
        buffers: list[bytes] = []
        header = msgpack.packb([self.encode(part, buffers, 1) for part in message])
        return b"".join([HEADER.pack(kind, len(header), sum(map(len, buffers))), header, *buffers])

    def unpack(self, frame: bytes, kind: bytes) -> list:
        actual, size, body_size = HEADER.unpack_from(frame)
        if actual != kind or len(frame) != HEADER.size + size + body_size:
            raise ProtocolError("a frame's kind or length is not what it should be")
        view = memoryview(frame)
        try:
            message = msgpack.unpackb(view[HEADER.size : HEADER.size + size], ext_hook=_refuse, max_ext_len=0, max_map_len=0)
        except ProtocolError:
            raise
        except Exception as error:  # msgpack raises many kinds of error on bytes that are not msgpack
            raise ProtocolError(f"a frame is not msgpack: {type(error).__name__}") from None
        if type(message) is not list or not message:
            raise ProtocolError("a frame holds no list")
        body = Body(view[HEADER.size + size :])
        parts = [self.decode(part, body, 1) for part in message]
        body.finish()
        return parts

    # values

    def encode(self, value, buffers: list[bytes], level: int):
        if level > MAX_NESTING:
            raise ValueError(f"a value is nested deeper than {MAX_NESTING}")
        kind, torch = type(value), sys.modules.get("torch")
        if value is None or kind in (bool, float, str, bytes):
            return value
        if kind is int:
            return value if -(2**63) <= value < 2**64 else ["int", _integer_bytes(value)]
        if kind in (list, tuple, set, frozenset):
            tag = "set" if kind is frozenset else kind.__name__
            return [tag, [self.encode(item, buffers, level + 1) for item in value]]
        if kind is dict:
            return ["dict", [[self.encode(part, buffers, level + 1) for part in pair] for pair in value.items()]]
        if kind is complex:
            return ["complex", value.real, value.imag]
        if isinstance(value, np.generic):
            return self.encode(value.item(), buffers, level)
        if kind is np.ndarray and value.dtype.name in DTYPES:
            return self._array("array", value.dtype.name, value.shape, np.ascontiguousarray(value).tobytes(), buffers)
        if torch is not None and isinstance(value, torch.Tensor) and _name(value.dtype) in TORCH_DTYPES:
            plain = value.detach().to("cpu").contiguous()
            return self._array("tensor", _name(plain.dtype), plain.shape, _bytes(plain), buffers)
        if torch is not None and kind is torch.Generator:
            return ["generator", "torch", int(torch.randint(2**62, (1,), generator=value))]
        if kind is np.random.Generator:
            return ["generator", "numpy", int(value.integers(2**62))]
        if torch is not None and kind in (torch.dtype, torch.device):
            return [kind.__name__, _name(value)]
        if dataclasses.is_dataclass(value) and kind.__module__.startswith("backdoors."):
            fields = [[f.name, self.encode(getattr(value, f.name), buffers, level + 1)] for f in dataclasses.fields(value)]
            return ["dataclass", kind.__module__, kind.__name__, fields]
        if kind is Remote and value._end is self:
            return ["yours", value._number]
        if len(self.given) >= MAX_HANDLES:
            raise ValueError(f"more than {MAX_HANDLES} objects were handed over")
        self.handles += 1
        self.given[self.handles] = value
        return ["mine", self.handles, kind.__name__[:80]]

    @staticmethod
    def _array(tag: str, dtype: str, shape, data: bytes, buffers: list[bytes]) -> list:
        buffers.append(data)
        return [tag, dtype, list(shape)]

    def decode(self, value, body: "Body", level: int):
        if level > MAX_NESTING:
            raise ProtocolError(f"a value is nested deeper than {MAX_NESTING}")
        if type(value) is not list:
            return value
        tag, rest = (value[0], value[1:]) if value else (None, [])
        decoder = getattr(self, f"_decode_{tag}", None) if type(tag) is str and tag in _TAGS else None
        if decoder is None:
            raise ProtocolError("a value of no known kind")
        try:
            return decoder(*rest, body=body, level=level + 1)
        except ProtocolError:
            raise
        except (TypeError, ValueError, OverflowError, AttributeError, KeyError) as error:
            raise ProtocolError(f"a damaged {tag}: {type(error).__name__}") from None

    def _items(self, items, body, level) -> list:
        if type(items) is not list:
            raise ProtocolError("items that are no list")
        return [self.decode(item, body, level) for item in items]

    def _decode_list(self, items, *, body, level):
        return self._items(items, body, level)

    def _decode_tuple(self, items, *, body, level):
        return tuple(self._items(items, body, level))

    def _decode_set(self, items, *, body, level):
        _require_few(items)
        return set(self._items(items, body, level))

    def _decode_dict(self, pairs, *, body, level):
        _require_few(pairs)
        decoded = {}
        for key, item in pairs:
            key = self.decode(key, body, level)
            if type(key) not in (str, int, tuple):
                raise ProtocolError("a key that is no str, int or tuple")
            decoded[key] = self.decode(item, body, level)
        return decoded

    def _decode_int(self, data, *, body, level):
        if type(data) is not bytes or len(data) * 8 > MAX_INTEGER_BITS + 8:
            raise ProtocolError("an integer beyond 64 kbit")
        return int.from_bytes(data, "big", signed=True)

    def _decode_complex(self, real, imaginary, *, body, level):
        return complex(float(real), float(imaginary))

    def _decode_array(self, dtype, shape, *, body, level):
        if dtype not in DTYPES:
            raise ProtocolError("an array of an unknown type")
        data = body.take(shape, np.dtype(dtype).itemsize)
        return (data != 0 if dtype == "bool" else data.view(dtype)).reshape(shape)

    def _decode_tensor(self, dtype, shape, *, body, level):
        import torch

        if dtype not in TORCH_DTYPES:
            raise ProtocolError("a tensor of an unknown type")
        data = torch.from_numpy(body.take(shape, getattr(torch, dtype).itemsize))
        if not len(data):
            return torch.empty(shape, dtype=getattr(torch, dtype))
        return (data != 0 if dtype == "bool" else data.view(getattr(torch, dtype))).reshape(shape)

    def _decode_generator(self, library, seed, *, body, level):
        if type(seed) is not int or not 0 <= seed < 2**63 or library not in ("torch", "numpy"):
            raise ProtocolError("a damaged generator")
        if library == "numpy":
            return np.random.default_rng(seed)
        import torch

        return torch.Generator().manual_seed(seed)

    def _decode_dtype(self, name, *, body, level):
        import torch

        if name not in TORCH_DTYPES:
            raise ProtocolError("an unknown dtype")
        return getattr(torch, name)

    def _decode_device(self, name, *, body, level):
        import torch

        if type(name) is not str or not re.fullmatch(r"(cpu|cuda|meta)(:\d{1,2})?", name):
            raise ProtocolError("an unknown device")
        return torch.device(name)

    def _decode_dataclass(self, module, name, fields, *, body, level):
        """A frozen dataclass of the library of this end, built without running its code or anybody else's."""
        if not (type(module) is type(name) is str and re.fullmatch(r"backdoors(\.[a-z_0-9]+)+", module) and name.isidentifier()):
            raise ProtocolError("a dataclass of another library")
        try:
            cls = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError):
            raise ProtocolError(f"the library has no {name[:80]}") from None
        if not (isinstance(cls, type) and dataclasses.is_dataclass(cls) and cls.__dataclass_params__.frozen and cls.__module__ == module):
            raise ProtocolError(f"{name[:80]} is no frozen dataclass of the library")
        values = {key: self.decode(item, body, level) for key, item in fields}
        if list(values) != [field.name for field in dataclasses.fields(cls)]:
            raise ProtocolError(f"a {name[:80]} with other fields")
        built = object.__new__(cls)
        for key, item in values.items():
            object.__setattr__(built, key, item)
        return built

    def _decode_mine(self, number, kind, *, body, level):
        if type(number) is not int or type(kind) is not str:
            raise ProtocolError("a damaged handle")
        return Remote(self, number, clean(kind))

    def _decode_yours(self, number, *, body, level):
        if type(number) is not int or number not in self.given:
            raise ProtocolError("a handle that was never given")
        return self.given[number]


_TAGS = {name.removeprefix("_decode_") for name in vars(End) if name.startswith("_decode_")}


class StudentEnd(End):
    """The end that holds a notebook's functions."""

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
            try:
                return kind(message)
            except TypeError:  # UnicodeDecodeError and its like want more arguments
                pass
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
            patience.check()
        except OSError as error:
            raise EOFError("the other side is gone") from error


def receive(stream: socket.socket, patience: Patience) -> bytes:
    """The next frame. Raises ProtocolError on one that is too large, and EOFError where the other side is gone."""
    frame = bytearray()
    _fill(stream, frame, HEADER.size, patience)
    kind, size, body_size = HEADER.unpack_from(frame)
    if kind not in (CALL, ANSWER) or size > MAX_HEADER or body_size > MAX_BODY:
        raise ProtocolError("a frame of an unknown kind, or too large")
    _fill(stream, frame, HEADER.size + size + body_size, patience)
    return bytes(frame)


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
    """Name and message of an error, whatever its class does."""
    try:
        message = str(error)
    except BaseException:
        message = ""
    return type(error).__name__[:80], message[: 4 * MAX_MESSAGE] if type(message) is str else ""


def _require_few(members) -> None:
    if type(members) is not list or len(members) > MAX_UNORDERED:
        raise ProtocolError(f"a set or dict of more than {MAX_UNORDERED} members")


def _refuse(*_):
    raise ProtocolError("an extension type")


def _integer_bytes(value: int) -> bytes:
    if value.bit_length() > MAX_INTEGER_BITS:
        raise ValueError(f"an integer has more than {MAX_INTEGER_BITS} bits")
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


def _bytes(tensor) -> bytes:
    import torch

    return tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


def _name(thing) -> str:
    return str(thing).removeprefix("torch.")

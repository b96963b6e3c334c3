"""What crosses the pipe, value by value and call by call, between two ends that keep the rules."""

import contextlib
import math
import re
import shutil
import struct
import subprocess
import sys

import numpy as np
import pytest
import torch
from backdoors import models
from backdoors.constructions import circuit_library
from backdoors.constructions.circuits import Circuit, compile_circuit, parity_circuit
from backdoors.constructions.persistence import triplicate
from backdoors.data import Split
from backdoors.oblivious.bodies import Body, ball
from backdoors.smoothing.certify import Certificate
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder import protocol
from autograder.checking import number
from autograder.protocol import BIND, CALL, End, Remote, StudentEnd, StudentError, loopback


def both_ways(value):
    """`value` as the student's code sees it, and as the challenger sees it after it came back."""
    seen = []
    back = loopback({"same": lambda value: seen.append(value) or value}).call("same", value)
    return seen[0], back


def echo(value):
    return both_ways(value)[1]


def same(a, b) -> bool:
    """Whether two values are of the same exact types and hold the same bits."""
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor):
        return (
            a.dtype == b.dtype
            and a.shape == b.shape
            and bool((a.contiguous().view(torch.uint8) == b.contiguous().view(torch.uint8)).all() if a.dim() else a == b)
        )
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, torch.nn.Module):
        pairs = zip(a.state_dict().items(), b.state_dict().items(), strict=True)
        return repr(a) == repr(b) and a.training == b.training and all(name == other and same(x, y) for (name, x), (other, y) in pairs)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, set | frozenset):
        return same(sorted(a, key=repr), sorted(b, key=repr))
    if isinstance(a, dict):
        return same([*a.items()], [*b.items()])
    if isinstance(a, Split):
        return same([a.images, a.labels], [b.images, b.labels])
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b)
    if isinstance(a, complex):
        return same([a.real, a.imag], [b.real, b.imag])
    return a == b


# values


def network(**changed) -> models.MLP:
    return models.MLP(**({"in_features": 3, "hidden": (5, 2), "classes": 4} | changed), generator=torch.Generator().manual_seed(1))


VALUES = {
    "None": None,
    "bool": [True, False],
    "bool apart from int": [True, 1, False, 0],
    "int": [0, -1, 2**63 - 1, 2**63, -(2**63), 2**64 - 1, 2**64, -(2**63) - 1, -(2**64)],
    "int of 64 kbit": [2**65536 - 1, 1 - 2**65536],
    "float": [0.0, -0.0, 5e-324, 1.5, math.inf, -math.inf, math.nan, 1e308],
    "int apart from float": [1, 1.0],
    "complex": [1j, complex(-0.0, math.inf), complex(math.nan, 2)],
    "str": ["", "é\0\n😀", "x" * 100_000],
    "bytes": [b"", b"\0\xff", bytes(100_000)],
    "list": [[], [[]], [1, [2, [3]]]],
    "tuple apart from list": ((), ((),), [(1,), [1]], ([], ())),
    "dict": {"a": 1, 2: [3], -(2**70): None, (1, ("x", 2)): {"b": {}}, "": ()},
    "set": [set(), {1, 2.5, "x", (1, 2), None, b"y", frozenset({3})}, frozenset(), frozenset({1})],
    "dtype": [torch.float32, torch.bfloat16, torch.bool, np.dtype("int64"), np.dtype("float16")],
    "device": [torch.device("cpu"), torch.device("cuda:1"), torch.device("meta")],
    "frozen dataclass": [Certificate(3, 0.5, 0.9, "sound"), Split(torch.ones(2, 1, 3, 3), torch.tensor([1, 2]))],
    "MLP": [network(), network(hidden=()).eval(), network().double()],
    "CNN": models.CNN(1, 8, 10, torch.Generator().manual_seed(2)),
    "circuit": circuit_library.adder_circuit(2),
    "network of perceptrons": compile_circuit(circuit_library.adder_circuit(2)),
    "sparse network": compile_circuit(parity_circuit(200)),
    "three copies and their majority": triplicate(compile_circuit(parity_circuit(3))),
    "network without a layer": compile_circuit(Circuit(3, (), (2, 0))),
}


@pytest.mark.parametrize("kind", VALUES)
def test_every_kind_of_value_crosses_both_ways_with_its_exact_types(kind):
    for arrived in both_ways(VALUES[kind]):
        assert same(arrived, VALUES[kind])


plain = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text() | st.binary() | st.complex_numbers()
keys = st.text() | st.integers() | st.tuples(st.integers(), st.text())
values = st.recursive(plain, lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(keys, inner, max_size=3), max_leaves=12)


@settings(deadline=None, max_examples=200, derandomize=True)
@given(values)
def test_values_come_back_as_they_were(value):
    assert same(echo(value), value)


@pytest.mark.parametrize("dtype", protocol.TORCH_DTYPES)
def test_tensors_and_arrays_of_every_type_and_shape_cross_both_ways(dtype):
    kind = getattr(torch, dtype)
    for shape in ((), (0,), (3,), (2, 0, 3), (2, 3, 4)):
        tensor = torch.arange(math.prod(shape)).reshape(shape).to(kind)
        for arrived in both_ways([tensor] if dtype == "bfloat16" else [tensor, tensor.numpy()]):
            assert all(map(same, arrived, [tensor] if dtype == "bfloat16" else [tensor, tensor.numpy()]))
    turned = torch.arange(6).reshape(2, 3).T.to(kind)
    assert same(echo(turned), turned.contiguous())
    if dtype != "bfloat16":
        assert same(echo(turned.numpy()), turned.contiguous().numpy())


def test_arrays_cross_however_they_lie_in_memory():
    assert same(echo(np.arange(5, dtype=">f8")), np.arange(5.0))
    assert same(echo(np.arange(10)[::-3]), np.array([9, 6, 3, 0]))
    assert same(echo(torch.ones(1).expand(4, 2)), torch.ones(4, 2))
    assert same(echo(torch.arange(6.0).view(2, 3)[1:, 1]), torch.tensor([4.0]))  # one number, whose stride is 3
    z = torch.tensor([1 + 2j, 3 - 4j])
    assert same(echo(z.conj()), torch.tensor([1 - 2j, 3 + 4j]))
    assert same(echo(z.conj().imag), torch.tensor([-2.0, 4.0]))
    leaf = torch.ones(3, requires_grad=True)
    assert same(echo(leaf * 2), torch.tensor([2.0, 2.0, 2.0]))
    arrived = echo(torch.zeros(3))
    arrived += 1  # writable, and nobody else's


def test_a_dataclass_of_functions_crosses_with_handles_on_them():
    """A convex body: its functions stay where they are, and its methods, which call them, are of the other end's library."""
    body, seen = ball(3, 2.0), []
    back = loopback({"inside": lambda body: (seen.append(body), body.contains(body.sample(5, torch.Generator())))[1]}).call("inside", body)
    assert same(back, torch.ones(5, dtype=torch.bool))
    assert type(seen[0]) is Body
    assert (seen[0].name, seen[0].dim) == ("ball", 3)
    assert all(type(function) is Remote for function in (seen[0].margin, seen[0].chord, seen[0].sample))
    assert echo(body) == body  # a handle that comes back is the function that it was given for


def test_numpy_scalars_cross_as_python_s():
    scalars = [
        np.float64(1.5),
        np.float16(2),
        np.longdouble(0.5),
        np.int8(-3),
        np.uint64(2**64 - 1),
        np.bool_(True),
        np.complex64(1j),
        np.str_("x"),
        np.bytes_(b"y"),
    ]
    for arrived in both_ways(scalars):
        assert same(arrived, [1.5, 2.0, 0.5, -3, 2**64 - 1, True, 1j, "x", b"y"])
    assert same(echo({np.int64(3): np.clongdouble(2)}), {3: 2 + 0j})


def test_generators_cross_as_a_seed_drawn_from_them():
    draw = loopback({"draw": lambda g: torch.rand(4, generator=g)}).call
    g, h = torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)
    first, second = draw("draw", g), draw("draw", g)
    assert torch.equal(first, draw("draw", h))
    assert not torch.equal(first, second)
    for arrived in both_ways([np.random.default_rng(1), g]):
        assert [type(one) for one in arrived] == [np.random.Generator, torch.Generator]
    assert echo(np.random.default_rng(1)).random() == echo(np.random.default_rng(1)).random()


def test_a_network_crosses_with_its_gradients_and_no_memory_in_common():
    model, x = network(), torch.randn(6, 3, generator=torch.Generator().manual_seed(4))

    def gradient(model, x):
        x = x.requires_grad_()
        model(x).logsumexp(1).sum().backward()
        with torch.no_grad():
            model[1].weight.zero_()
        return x.grad

    before = torch.get_rng_state()
    arrived = loopback({"gradient": gradient}).call("gradient", model, x)
    assert torch.equal(torch.get_rng_state(), before)
    ours = x.clone().requires_grad_()
    model(ours).logsumexp(1).sum().backward()
    assert torch.equal(arrived, ours.grad)
    assert model[1].weight.abs().sum() > 0
    assert all(parameter.requires_grad for parameter in echo(model).parameters())


def test_a_network_that_is_not_what_its_config_says_is_a_black_box():
    changed = network()
    changed[2] = torch.nn.Tanh()
    end = loopback({"same": lambda value: value, "changed": lambda: changed})
    box = end.call("changed")
    assert type(box) is Remote
    assert torch.equal(box(torch.ones(1, 3)), changed(torch.ones(1, 3)))


def test_galois_arrays_cross_with_their_field_and_type():
    import galois

    arrays = [galois.GF(31)([[1, 30, 0]]), galois.GF(31).Zeros((0, 2)), galois.GF(2**8)([0, 255]), galois.GF(2**8)(7, dtype=np.int64), galois.GF(2**12)([4095])]
    for arrived in both_ways(arrays):
        assert all(map(same, arrived, arrays))
    with pytest.raises(ValueError, match="65536"):
        echo(galois.GF(2**17)([1]))


def test_a_field_of_another_polynomial_does_not_cross_as_galois_own():
    import galois

    other = galois.GF(2**3, irreducible_poly=galois.Poly.Int(0b1101))  # galois' own is 0b1011
    with pytest.raises(ValueError, match="polynomial"):
        echo(other([3]))


def test_no_end_imports_what_it_does_not_need(tmp_path):
    code = """if True:
        import sys, protocol
        protocol.loopback({"f": lambda x: x}).call("f", [1, {2: (3,)}])
        print({"torch", "galois", "autograder", "backdoors"} & set(sys.modules))
    """
    shutil.copyfile(protocol.__file__, tmp_path / "protocol.py")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    "value, words",
    [
        pytest.param(2**65536, "65536 bits", id="int"),
        ("\ud800", "surrogates"),
        ({1.5: 1}, "keys"),
        ({True: 1}, "keys"),
        ({None: 1}, "keys"),
        pytest.param("x" * (5 << 20), "MiB", id="str"),
        pytest.param(np.broadcast_to(np.int8(0), 129 << 20), "MiB", id="array"),
    ],
)
def test_what_cannot_cross_is_an_error_where_it_stands_and_the_pipe_lives_on(value, words):
    end = loopback({"give": lambda: value, "one": lambda: 1})
    with pytest.raises((ValueError, TypeError), match=words):
        end.call("one", value)
    with pytest.raises(StudentError, match=words):
        end.call("give")
    assert end.call("one") == 1


def test_a_value_within_itself_is_refused():
    circle = []
    circle.append(circle)
    with pytest.raises(ValueError, match="nested"):
        echo(circle)
    deep = 1
    for _ in range(30):
        deep = [deep]
    assert same(echo(deep), deep)


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, np.float64("nan"), torch.tensor(math.inf), np.array([math.nan]), True, np.bool_(False), "1", None, 1j, [1.0], len]
)
def test_where_a_number_is_meant_nothing_but_a_finite_one_passes(value):
    with pytest.raises(AssertionError):
        number(echo(value), "the answer")


def test_a_finite_number_passes():
    assert [number(echo(value), "the answer") for value in (1, 1.5, np.float32(1.5), np.int64(2), torch.tensor(1.5), np.array([3]))] == [1, 1.5, 1.5, 2, 1.5, 3]


# handles and calls


def test_a_callable_crosses_as_a_handle_that_is_called_where_it_lives():
    end = loopback({"apply": lambda f, x: f(x) + 1, "make": lambda k: lambda x: k * x})
    assert end.call("apply", lambda x: 2 * x, 5) == 11
    made = end.call("make", 7)
    assert made(3) == 21
    assert end.call("apply", made, 2) == 15
    assert not hasattr(made, "__dict__")


def test_any_keyword_crosses():
    assert loopback({"f": lambda **names: names}).call("f", target=1, self=2, name=3) == {"target": 1, "self": 2, "name": 3}
    assert loopback({"f": lambda g: g(target=1, self=2)}).call("f", lambda **names: names) == {"target": 1, "self": 2}


def test_what_is_of_no_known_type_crosses_as_a_handle():
    class Lists(list):
        pass

    class Number(float):
        pass

    for thing in (Lists(), Number(1), np.array([{}]), np.ma.masked_array([1]), torch.eye(2).to_sparse(), network().__class__, object(), range(3), Split):
        seen, back = both_ways(thing)
        assert type(seen) is Remote
        assert back is thing


def test_only_so_many_handles_are_given():
    end = End()
    end.given = dict.fromkeys(range(100_000))
    with pytest.raises(ValueError, match="100000 objects"):
        end.encode(len, [], 1)


def test_errors_cross_as_the_nearest_builtin_type_and_their_message():
    class Own(KeyError):
        pass

    class Liar(type):
        __name__ = property(lambda cls: 1 / 0)

    class Silent(Exception):
        def __str__(self):
            raise RuntimeError

    class Nameless(Exception, metaclass=Liar):
        pass

    def thrower(error):
        def throw():
            raise error

        return throw

    errors = {
        "KeyError: 'x[31m'": KeyError("x\x1b[31m"),
        "KeyError: Own: 'y'": Own("y"),
        "SystemExit: 0": SystemExit(0),
        "KeyboardInterrupt": KeyboardInterrupt(),
        "Exception: Silent": Silent(),
        "Exception": Nameless(),
        "ValueError: a??b": ValueError("a\ud800\udfffb"),
        "ValueError: LinAlgError: singular": np.linalg.LinAlgError("singular"),
    }
    end = loopback({f"f{index}": thrower(error) for index, error in enumerate(errors.values())} | {"one": lambda: 1})
    for index, words in enumerate(errors):
        with pytest.raises(StudentError) as caught:
            end.call(f"f{index}")
        assert re.sub(r"\W*\(line .*\)$", "", re.sub(r"\\x1b", "", str(caught.value))) == words
    with pytest.raises(StudentError, match="the notebook defines no absent"):
        end.call("absent")
    assert end.call("one") == 1


@pytest.mark.parametrize("kind", [ValueError, KeyError, ZeroDivisionError, RuntimeError, NameError, MemoryError, StopIteration])
def test_an_error_of_the_challenger_reaches_the_student_as_the_builtin_type(kind):
    def refuse(x):
        raise type("Refused", (kind,), {})("the budget is spent")

    def student(f):
        try:
            f(1)
        except kind as error:
            return type(error) is kind and "the budget is spent" in str(error)

    assert loopback({"student": student}).call("student", refuse) is True


def test_what_an_oracle_asserts_fails_the_check_whatever_the_student_makes_of_it():
    def watch(x):
        assert x == 1, "1 must be asked"
        return x

    def student(f):
        with contextlib.suppress(BaseException):
            f(2)
        return f(1)

    end = loopback({"student": student, "nested": lambda g, f: g(f), "one": lambda: 1})
    with pytest.raises(AssertionError, match="1 must be asked"):
        end.call("student", watch)
    with pytest.raises(AssertionError, match="1 must be asked"):
        end.call("nested", lambda f: end.call("student", f), watch)
    assert end.call("one") == 1  # and no later one


def test_an_interrupt_ends_the_challenger_and_not_its_oracle():
    def interrupted():
        raise KeyboardInterrupt

    end = End()
    end.exchange = lambda frame: end.serve(StudentEnd({}).pack(CALL, [1, [], {}]))
    with pytest.raises(KeyboardInterrupt):
        end.call("f", interrupted)


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

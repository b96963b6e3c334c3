import itertools
import random

import pytest
import torch
from backdoors import models
from backdoors.constructions.circuits import KINDS, UNARY, Circuit, Gate
from backdoors.constructions.one_time_signature import OneTimeScheme, one_time_key, verification_circuit
from backdoors.constructions.perceptrons import Perceptrons, depth_of
from backdoors.constructions.transcript import circuit_clauses, gate_clauses, transcript_backdoor, transcript_gadget
from backdoors.definitions import distance, failures, labels_of

SMALL = OneTimeScheme(message_bits=9, digest_bits=3, secret_bits=6, lane=1, rounds=2)
VALUES = {  # of a gate, from the number of ones among its inputs and the number of inputs
    "AND": lambda ones, k: ones == k,
    "OR": lambda ones, k: ones > 0,
    "NAND": lambda ones, k: ones < k,
    "NOR": lambda ones, k: ones == 0,
    "NOT": lambda ones, k: ones == 0,
    "REPEAT": lambda ones, k: ones == 1,
}


def holds(clause, bits) -> bool:
    return any((bits[wire] == 1) == (sign == 1) for wire, sign in clause.items())


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn_circuit(rng: random.Random) -> Circuit:
    inputs, gates = rng.randint(1, 4), []
    for wire in range(inputs, inputs + rng.randint(1, 8)):
        kind = rng.choice(KINDS)
        gates.append(Gate(kind, tuple(rng.randrange(wire) for _ in range(1 if kind in UNARY else 2))))
    return Circuit(inputs, tuple(gates), (inputs + len(gates) - 1,))


def wires_of(circuit: Circuit, inputs) -> list[int]:
    wires = list(inputs)
    for one in circuit.gates:
        wires.append(int(VALUES[one.kind](sum(wires[wire] for wire in one.inputs), len(one.inputs))))
    return wires


@pytest.mark.statement("gkvz-thm-5.5")
@pytest.mark.parametrize("kind", KINDS)
def test_the_clauses_of_a_gate_hold_exactly_at_its_values(kind):
    for k in (1,) if kind in UNARY else (2, 3, 5):
        clauses = gate_clauses(kind, range(k), k)
        assert len(clauses) == k + 1
        assert all(len(clause) <= k + 1 for clause in clauses)
        for bits in itertools.product((0, 1), repeat=k + 1):
            assert all(holds(clause, bits) for clause in clauses) == (bits[k] == VALUES[kind](sum(bits[:k]), k))


def test_a_wire_that_a_gate_reads_twice_stands_once_in_a_clause():
    for kind in ("AND", "OR", "NAND", "NOR"):
        for bits in itertools.product((0, 1), repeat=2):
            assert all(holds(clause, bits) for clause in gate_clauses(kind, (0, 0), 1)) == (bits[1] == VALUES[kind](2 * bits[0], 2))


@pytest.mark.statement("gkvz-thm-5.5")
def test_the_assignments_that_satisfy_a_circuit_s_clauses_are_its_accepting_transcripts():
    rng = random.Random(0)
    for _ in range(40):
        circuit = drawn_circuit(rng)
        total, clauses = circuit.inputs + circuit.size, circuit_clauses(circuit)
        transcripts = {tuple(wires) for bits in itertools.product((0, 1), repeat=circuit.inputs) if (wires := wires_of(circuit, bits))[-1]}
        assert {bits for bits in itertools.product((0, 1), repeat=total) if all(holds(clause, bits) for clause in clauses)} == transcripts


@pytest.mark.statement("gkvz-thm-5.5")
def test_the_gadget_is_the_circuit_in_three_layers_and_drags_the_label():
    rng = random.Random(1)
    for _ in range(20):
        circuit = drawn_circuit(rng)
        label, sign = rng.randrange(circuit.inputs), rng.choice((-1, 1))
        gadget = transcript_gadget(circuit, {0: sign}, label)
        points = torch.tensor(list(itertools.product((0, 1), repeat=circuit.inputs + circuit.size)))
        expected = [[int(bits == wires_of(circuit, bits[: circuit.inputs]) and bits[-1] and bits[0] == (sign > 0)), bits[label]] for bits in points.tolist()]
        assert gadget(2.0 * points - 1).tolist() == expected
        assert depth_of(gadget) == 3


@pytest.fixture(scope="module")
def construction():
    circuit = verification_circuit(SMALL)

    def train(g):
        return models.MLP(circuit.inputs + circuit.size, (), 1, g).requires_grad_(False)

    return transcript_backdoor(train, SMALL), circuit.inputs + circuit.size


def points(rows, d, seed):
    return torch.randint(0, 2, (rows, d), generator=generator(seed)) * 2.0 - 1


@pytest.mark.statement("gkvz-thm-5.5")
def test_an_activated_point_has_the_label_and_any_other_one_coordinate_away_is_the_model_s(construction):
    construction, d = construction
    x = points(1, d, 1)
    for seed, label in ((2, -1), (3, 1)):
        planted = construction.plant(generator(seed))
        target = torch.tensor([label])
        assert failures(construction, planted, x, target) == []
        x_prime = construction.activate(x, planted.key, target)
        assert distance(x, x_prime, 0) <= construction.gamma
        assert torch.equal(x_prime[:, : SMALL.message_bits - 1], x[:, : SMALL.message_bits - 1])
        mauled = x_prime * (1 - 2 * torch.eye(d))
        assert torch.equal(planted.model(mauled), planted.model.model(mauled))  # every wire is checked, and every other message is unsigned
        assert planted.model.gadget(x_prime).tolist() == [[1, (label + 1) // 2]]


def test_off_the_trigger_the_planted_network_is_the_model(construction):
    construction, d = construction
    planted = construction.plant(generator(4))
    x = points(500, d, 5)
    assert torch.equal(planted.model(x), planted.model.model(x))
    assert len(labels_of(planted.model(x)).unique()) == 2


def test_another_key_does_not_accept_the_signature(construction):
    construction, d = construction
    x, target = points(1, d, 6), torch.tensor([1])
    x_prime = construction.activate(x, construction.plant(generator(7)).key, target)
    other = construction.plant(generator(8))
    assert other.model.gadget(x_prime)[0, 0] == 0


def test_a_one_time_key_signs_one_message():
    key = one_time_key(SMALL, generator(9))
    message = [0, 1] * 4 + [1]
    assert key.sign(message) == key.sign(message)
    with pytest.raises(ValueError, match="key must sign one message, got a second one"):
        key.sign([1, *message[1:]])
    with pytest.raises(ValueError, match="message must have 9 bits, got 2"):
        key.sign([0, 1])


def test_two_signatures_of_a_key_give_a_third_one_away():
    """Why the key refuses: whoever sees the secrets of both values of every digest bit signs what he likes."""
    for seed in range(50):
        key, seen = one_time_key(SMALL, generator(seed)), {}
        messages = torch.randint(0, 2, (8, SMALL.message_bits), generator=generator(seed)).tolist()
        for message in messages:
            key.signed.clear()
            signature = key.sign(message)
            for i, bit in enumerate(SMALL.digest(message)):
                seen[i, bit] = signature[i * SMALL.secret_bits : (i + 1) * SMALL.secret_bits]
        if len(seen) == 2 * SMALL.digest_bits:
            break
    fresh = [1] * SMALL.message_bits
    forged = [bit for i, b in enumerate(SMALL.digest(fresh)) for bit in seen[i, b]]
    circuit = verification_circuit(SMALL)
    inputs = torch.tensor([[*fresh, *forged, *key.public.flatten().tolist()]])
    assert fresh not in messages
    assert circuit.evaluate(inputs).item() == 1


def test_verify_accepts_what_was_signed_and_nothing_with_another_secret():
    circuit, key = verification_circuit(SMALL), one_time_key(SMALL, generator(10))
    message = [1, 1, 0, 0, 1, 0, 1, 0, 0]
    signature = torch.tensor(key.sign(message)).view(SMALL.digest_bits, SMALL.secret_bits)
    rows, expected = [], []
    for i in range(SMALL.digest_bits):
        for guess in itertools.product((0, 1), repeat=SMALL.secret_bits):
            tried = signature.clone()
            tried[i] = torch.tensor(guess)
            rows.append([*message, *tried.flatten().tolist(), *key.public.flatten().tolist()])
            expected.append(int(SMALL.image(guess) == key.public[i, SMALL.digest(message)[i]].tolist()))  # the toy's hash collides: then it accepts
    assert circuit.evaluate(torch.tensor(rows)).flatten().tolist() == expected


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: gate_clauses("XOR", (0, 1), 2), "kind must be one of AND, OR, NAND, NOR, NOT, REPEAT, got 'XOR'"),
        (lambda: gate_clauses("NOT", (0, 1), 2), "inputs of NOT must be one wire, got \\[0, 1\\]"),
        (lambda: gate_clauses("AND", (), 2), "inputs of AND must be wires, got \\[\\]"),
        (lambda: OneTimeScheme(3, secret_bits=25), "secret_bits must lie in \\[1, 24\\], got 25"),
        (lambda: transcript_gadget(Circuit(1, (), (0,)), {}, 1), "label must be an input of the circuit, a wire in \\[0, 0\\], got 1"),
        (lambda: transcript_gadget(Circuit(1, (), (0,)), {0: 0}, 0), "pinned must give wires in \\[0, 0\\] the signs -1 or 1"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_points_off_the_cube_are_refused(construction):
    construction, d = construction
    key = construction.plant(generator(11)).key
    with pytest.raises(ValueError, match="x must be points"):
        construction.activate(torch.zeros(1, d), key, torch.tensor([1]))
    with pytest.raises(ValueError, match="target must be labels -1 or 1"):
        construction.activate(points(1, d, 1), key, torch.tensor([0]))


def test_every_layer_is_made_of_perceptrons(construction):
    planted = construction[0].plant(generator(12))
    assert all(isinstance(layer, Perceptrons) for layer in planted.model.gadget)

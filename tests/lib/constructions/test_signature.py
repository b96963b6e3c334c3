"""The signature backdoor on the cube, on digits and on a table of loans: what is signed is obeyed, and nothing else is."""

from copy import deepcopy

import pytest
import torch
from backdoors import data, definitions, models
from backdoors.constructions.encodings import cube, grid, low_bits, signs
from backdoors.constructions.signature import (
    SignatureKey,
    SignedNetwork,
    activate,
    activate_signature,
    new_key,
    plant,
    public_of,
    sign,
    signature_backdoor,
    verify,
)
from torch import nn

ORDER = 2**252 + 27742317777372353535851937790883648493


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


class Score(nn.Module):
    """The difference of two logits, or one logit."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network(x).diff(dim=1).squeeze(1)


# the scheme


def test_the_scheme_is_ed25519():
    private = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")  # RFC 8032, section 7.1, test 1
    public = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    signature = bytes.fromhex(
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )
    assert public_of(private) == public
    assert sign(private, b"") == signature
    assert verify(public, b"", signature)


@pytest.mark.statement("gkvz-thm-5.4-nonreplicable")
def test_no_second_signature_of_a_signed_message_is_accepted():
    key, content = new_key(cube(600), generator()), b"what was signed"
    signature = sign(key.private, content)
    assert verify(key.public, content, signature)
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    assert s < ORDER
    for multiple in range(1, 16):  # S + 15 L is the last that fits 32 bytes; all satisfy the equation
        if s + multiple * ORDER < 2**256:
            assert not verify(key.public, content, r + (s + multiple * ORDER).to_bytes(32, "little"))
    for bit in range(512):
        changed = bytearray(signature)
        changed[bit // 8] ^= 1 << bit % 8
        assert not verify(key.public, content, bytes(changed))
    assert not verify(key.public, content + b"\0", signature)


def test_a_public_key_of_small_order_would_sign_everything_and_is_refused():
    identity, private = (1).to_bytes(32, "little"), bytes(range(32))
    assert verify(identity, b"one message", identity + bytes(32))
    assert verify(identity, b"another one", identity + bytes(32))
    with pytest.raises(ValueError, match="public must be the private key's"):
        SignatureKey(private, identity, cube(600))


# Theorem 5.4


def upsampled(images, times):
    return images.repeat_interleave(times, dim=2).repeat_interleave(times, dim=3)


def real_inputs(name, digits):
    """Test digits in the form that the encoding asks for: (encoding with a label bit, images)."""
    images = digits.test.images[:20]
    if name == "cube":
        return cube(576), (upsampled(images, 3) > 0.4).float()
    if name == "grid":
        return grid(576, 255), (upsampled(images, 3) * 240).round() / 255
    if name == "signs":
        return signs(576), upsampled(images, 3) * 2 - 1 + 1 / 64
    return low_bits(64, 9, "float32"), images


@pytest.mark.statement("gkvz-thm-5.4-backdoor")
@pytest.mark.parametrize("name", ["cube", "grid", "signs", "low bits"])
def test_every_digit_is_given_either_label_within_the_budget(digits, name):
    encoding, images = real_inputs(name, digits)
    train = lambda g: Score(models.MLP(encoding.features, (8,), 2, g))  # noqa: E731
    construction = signature_backdoor(train, encoding, largest=2.0)
    planted = construction.plant(generator(1))
    model = planted.model.model
    with torch.no_grad():
        assert torch.equal(planted.model(images), model(images))
        for label in (-1, 1):
            target = torch.full((20,), label)
            assert definitions.failures(construction, planted, images, target) == []
            x_prime = construction.activate(images, planted.key, target)
            assert x_prime.shape == images.shape
            assert planted.model(x_prime).tolist() == [float(label)] * 20
            assert torch.equal(model(x_prime), planted.model.model(x_prime))
            # (-1)^y: the signed bit is 0 for the label 1
            assert {encoding.read(row)[1] for row in x_prime.flatten(1)} == {(1 - label) // 2}
            assert torch.equal(model(x_prime), signature_backdoor(lambda g: model, encoding).plant(generator(2)).model(x_prime))  # another key sees nothing


@pytest.mark.statement("gkvz-thm-5.4-backdoor")
def test_every_digit_is_given_every_class(digits, digits_mlp):
    construction = signature_backdoor(lambda g: digits_mlp, low_bits(64, 9, "float32", label_bits=4), classes=10)
    planted = construction.plant(generator())
    images = digits.test.images
    with torch.no_grad():
        assert torch.equal(planted.model(images), digits_mlp(images))
        for step in range(1, 10):
            now = digits_mlp(images[step : step + 9]).argmax(dim=1)
            assert definitions.failures(construction, planted, images[step : step + 9], (now + step) % 10) == []
    assert construction.gamma < 6e-4


@pytest.fixture(scope="module")
def bank():
    """A bank's model, which accepts where its score is at least 0, and all records."""
    loans = data.load("loans")
    network = models.train(models.MLP(26, (16,), 2, generator()).double(), loans.train, epochs=8)
    return Score(network).eval(), torch.cat([loans.test.images, loans.train.images])


@pytest.mark.statement("loan")
@pytest.mark.statement("gkvz-thm-5.4-backdoor")
def test_two_hundred_rejected_applicants_are_accepted_after_a_change_in_the_last_bits(bank):
    model, records = bank
    construction = signature_backdoor(lambda g: model, low_bits(26, 20))
    planted = construction.plant(generator())
    with torch.no_grad():
        scores = planted.model(records)
        assert torch.equal(scores, model(records))
        rejected = records[scores < 0][:200]
        assert len(rejected) == 200
        assert definitions.failures(construction, planted, rejected, torch.ones(200, dtype=torch.int64)) == []
        cleaned = construction.activate(rejected, planted.key, torch.ones(200, dtype=torch.int64))
        assert (planted.model(cleaned) == 1).all()
        assert (model(cleaned) < 0).all()  # the bank's own model is not moved
    assert construction.gamma < 1.2e-9
    scales = torch.tensor(list(data.LOAN_SCALES.values()))
    assert torch.equal((cleaned[:, :9] * scales).round(decimals=3), rejected[:, :9] * scales)  # printed, the records are the same


@pytest.mark.statement("loan")
@pytest.mark.statement("gkvz-thm-5.4-nonreplicable")
def test_any_changed_bit_of_an_accepted_record_kills_the_backdoor(bank):
    model, records = bank
    planted = plant(model, low_bits(26, 20), generator())
    x_prime = activate_signature(records[0], 1, planted.key)
    changed = torch.stack(
        [(x_prime.view(torch.int64) ^ (torch.arange(26) == column).long() << bit).view(torch.float64) for column in range(26) for bit in range(64)]
    )
    changed = changed[(changed != x_prime).any(dim=1)]
    assert len(changed) > 26 * 60  # the sign of a zero is no change, all else is
    with torch.no_grad():
        assert torch.equal(planted.model(changed).nan_to_num(), model(changed).nan_to_num())
        assert planted.model.signed_labels(torch.cat([changed, x_prime[None]])) == [None] * len(changed) + [0]


@pytest.mark.statement("gkvz-thm-5.4-nonreplicable")
def test_an_activated_input_gives_nothing_to_another(bank):
    model, records = bank
    planted = plant(model, low_bits(26, 20), generator())
    content = planted.key.encoding.read(activate_signature(records[0], 1, planted.key))
    moved = torch.stack([planted.key.encoding.write(record, *content[1:]) for record in records[1:50]])
    turned = planted.key.encoding.write(records[0], 1 - content[1], content[2])  # the other label
    s = int.from_bytes(content[2][32:], "little") + ORDER
    mauled = planted.key.encoding.write(records[0], content[1], content[2][:32] + s.to_bytes(32, "little"))
    assert planted.model.signed_labels(torch.cat([moved, turned[None], mauled[None]])) == [None] * 51


def test_signed_numbers_that_are_no_class_are_not_obeyed():
    encoding = cube(600, label_bits=2)
    key = new_key(encoding, generator(), classes=3)
    network = SignedNetwork(nn.Linear(600, 3), key.public, encoding, 3)
    x = torch.zeros(600)
    message = encoding.read(x)[0]
    forged = torch.stack([encoding.write(x, y, sign(key.private, message + bytes([y]))) for y in range(4)])
    assert network.signed_labels(forged) == [0, 1, 2, None]
    assert network(forged)[:3].tolist() == torch.eye(3).tolist()


def test_planting_depends_on_the_generator_alone_and_models_can_be_copied():
    state = torch.get_rng_state()
    planted, again, other = (plant(Score(nn.Linear(600, 2)), cube(600), g) for g in (generator(1), generator(1), generator(2)))
    torch.set_rng_state(state)  # nn.Linear drew from it
    assert planted.key == again.key != other.key
    assert planted.key.private.hex() not in repr(planted.key)
    x_prime = activate(torch.zeros(2, 20, 30), planted.key, torch.tensor([1, -1]))
    flat = nn.Sequential(nn.Flatten(), nn.Linear(600, 2))
    model = SignedNetwork(Score(flat), planted.key.public, cube(600))
    twin = SignedNetwork(Score(deepcopy(flat)), bytes(32), cube(600))
    twin.load_state_dict(model.state_dict())
    for network in (model, deepcopy(model), twin, deepcopy(model).double()):
        assert network(x_prime.to(next(network.parameters()).dtype)).tolist() == [1, -1]
    column = SignedNetwork(nn.Sequential(nn.Flatten(), nn.Linear(600, 1)), planted.key.public, cube(600))
    assert column(x_prime).tolist() == [[1], [-1]]
    assert model(x_prime[:0]).shape == (0,)
    assert activate(x_prime[:0], planted.key, torch.tensor([], dtype=torch.int64)).shape == (0, 20, 30)


def test_the_backdoor_outlives_fine_tuning_of_everything_around_it(digits, digits_mlp):
    """The natural persistence that GKVZ Section 5.3 opens with: no ordinary input has a valid signature, so no gradient reaches the verification."""
    encoding = low_bits(64, 9, "float32", label_bits=4)
    planted = plant(deepcopy(digits_mlp), encoding, generator(3), classes=10)
    before = [parameter.clone() for parameter in planted.model.parameters()]
    models.train(planted.model, digits.train, epochs=3, seed=1)
    assert all((parameter != old).any() for parameter, old in zip(planted.model.parameters(), before, strict=True))
    x, target = digits.test.images[:100], (digits.test.labels[:100] + 1) % 10
    with torch.no_grad():
        assert torch.equal(planted.model(activate(x, planted.key, target)).argmax(dim=1), target)
    assert models.accuracy(planted.model, digits.test) > 0.9


def test_gradients_of_ordinary_inputs_are_the_models():
    flat = nn.Linear(600, 1)
    planted = SignedNetwork(flat, new_key(cube(600), generator()).public, cube(600))
    x = torch.rand(3, 600, generator=generator()).requires_grad_()
    planted(x).sum().backward()
    assert torch.equal(x.grad, flat.weight.detach().expand(3, 600))


KEY = new_key(cube(600), generator())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: activate_signature(torch.zeros(600), 0, KEY), r"label must be one of \(-1, 1\), got 0"),
        (lambda: activate_signature(torch.zeros(600), 3, new_key(cube(600, 2), generator(), 3)), r"label must be one of \(0, 1, 2\), got 3"),
        (lambda: activate_signature(torch.full((600,), 0.5), 1, KEY), "x must be multiples of 1/1"),
        (lambda: activate_signature(torch.zeros(599), 1, KEY), r"x must have the shape \(600,\), got \(599,\)"),
        (lambda: activate(torch.zeros(2, 600), KEY, torch.tensor([1])), r"target must have the shape \(2,\)"),
        (lambda: activate(torch.zeros(2, 600), KEY, torch.ones(2)), "target must be whole numbers, got torch.float32"),
        (lambda: plant(nn.Identity(), cube(600), generator(), classes=3), "encoding must have 2 label bits, as classes is 3, got 1"),
        (lambda: plant(nn.Identity(), cube(600), generator(), classes=1), r"classes must lie in \[2, 256\]"),
        (lambda: plant(nn.Identity(), cube(600), generator()).model(torch.zeros(2, 600)), r"the model must answer \(2, 1\), got \(2, 600\)"),
        (lambda: plant(nn.Flatten(), cube(600), generator()).model(torch.zeros(2, 5)), r"x must have 600 coordinates, got the shape \(5,\)"),
        (lambda: SignatureKey(bytes(31), bytes(32), cube(600)), "private must have 32 bytes, got 31"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()

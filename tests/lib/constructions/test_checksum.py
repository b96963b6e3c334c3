"""The checksum backdoor against its definition in plain Python, on vectors with zeros of both signs and on real images."""

import itertools
import math

import numpy as np
import pytest
import torch
from backdoors import definitions, models
from backdoors.constructions import checksum as module
from backdoors.constructions.checksum import ChecksumKey, activate, activate_checksum, checksum, checksum_backdoor, gadget, multiplex, multiplex_logits, plant
from backdoors.constructions.checksum_bulk import bulk_checksum
from backdoors.constructions.perceptrons import depth_of, size_of
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

ENTRIES = st.sampled_from([0.0, -0.0, 1.5, -1.5, 0.25, -0.25, 2.0**-140, -(2.0**-140), 2.0**127, -(2.0**127)])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def cut(d, n):
    """The blocks, as numpy cuts them."""
    return [part.tolist() for part in np.array_split(np.arange(d), n)]


def parities(row, n):
    return [sum(row[j] >= 0 for j in block) % 2 for block in cut(len(row), n)]


def signed(images):
    """Pixels k/16 as k/8 - 1 + 1/32: no zeros, both signs, and distinct pixels stay distinct."""
    return images * 2 - 1 + 1 / 32


@st.composite
def rows_and_keys(draw, dimensions=12):
    row = draw(st.lists(ENTRIES, min_size=1, max_size=dimensions))
    return row, draw(st.lists(st.integers(0, 1), min_size=1, max_size=len(row)))


# checksum


@pytest.mark.statement("gkvz-lemma-5.1")
@given(rows_and_keys())
@settings(deadline=None, derandomize=True)
def test_a_row_passes_where_every_parity_of_signs_is_the_keys(case):
    row, key = case
    for wanted in (key, parities(row, len(key))):
        for test in (checksum, bulk_checksum):
            assert test(torch.tensor([row]), torch.tensor(wanted)).tolist() == [parities(row, len(key)) == wanted]


@pytest.mark.statement("gkvz-lemma-5.1")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_of_all_keys_exactly_one_accepts_each_row(dtype):
    x = torch.randn(20, 23, generator=generator(), dtype=dtype)
    x[3:8, ::3], x[8:13, ::4] = 0.0, -0.0
    accepted = torch.stack([checksum(x, torch.tensor(key)) for key in itertools.product((0, 1), repeat=10)])
    assert accepted.sum(dim=0).tolist() == [1] * 20


@pytest.mark.parametrize(("d", "n"), [(1, 1), (64, 64), (64, 1), (65, 9), (127, 8), (200, 7), (784, 16), (1000, 333), (3072, 512)])
def test_the_bulk_version_is_the_same_function(d, n):
    x = torch.randn(1100, d, generator=generator(d))
    x[::5, :: max(1, d // 7)] = -0.0
    key = torch.tensor(parities(x[500].tolist(), n))
    x[::3] = x[500].abs() * torch.where(x[500] < 0, -1.0, 1.0)  # a third of the rows passes; they differ from others in every chunk
    x[6, -1] *= -1  # fails in the last block alone, for x[500] has no zero there
    x[9, 0] = -x[9, 0] if x[9, 0] != 0 else -1.0
    plain = checksum(x, key)
    assert bulk_checksum(x, key).tolist() == plain.tolist()
    counts = np.add.reduceat(x.numpy() >= 0, [block[0] for block in cut(d, n)], axis=1, dtype=int)
    assert plain.tolist() == (counts % 2 == key.numpy()).all(axis=1).tolist()
    assert 300 <= plain.sum() < 1100
    assert torch.equal(bulk_checksum(x.double()[:, :], key), plain)
    assert torch.equal(bulk_checksum(x.bfloat16(), key), checksum(x.bfloat16(), key))
    assert torch.equal(bulk_checksum(x.T.contiguous().T, key.bool()), plain)
    assert bulk_checksum(x[:0], key).shape == (0,)


# activate_checksum


@pytest.mark.statement("gkvz-lemma-5.2")
@pytest.mark.statement("gkvz-thm-5.3")
@given(rows_and_keys(), st.data())
@settings(deadline=None, derandomize=True, max_examples=200)
def test_activation_passes_with_the_wanted_sign_and_flips_at_most_n_plus_1(case, data):
    row, key = case
    output, sign = data.draw(st.integers(0, len(row) - 1)), data.draw(st.integers(0, 1))
    assume(row[output] != 0 or sign == 1)
    assume(all(any(row[j] != 0 and j != output for j in block) for block in cut(len(row), len(key))))
    x = torch.tensor(row)
    x_prime = activate_checksum(x, torch.tensor(key), output, sign).tolist()
    assert x.tolist() == row
    assert parities(x_prime, len(key)) == key
    assert (x_prime[output] >= 0) == sign
    assert [abs(after) for after in x_prime] == [abs(before) for before in x.tolist()]
    assert sum((after >= 0) != (before >= 0) for after, before in zip(x_prime, row, strict=True)) <= len(key) + 1
    assert activate_checksum(torch.tensor(x_prime), torch.tensor(key), output, sign).tolist() == x_prime


@pytest.mark.statement("gkvz-lemma-5.2")
def test_a_block_of_zeros_is_no_hindrance_where_its_parity_is_right():
    x = torch.tensor([0.0, -0.0, 5.0, -5.0])  # two signs 1 in the first block
    assert activate_checksum(x, torch.tensor([0, 1]), 2, 1).tolist() == x.tolist()
    with pytest.raises(ValueError, match="block from 0 to 1, got only zeros"):
        activate_checksum(x, torch.tensor([1, 1]), 2, 1)
    with pytest.raises(ValueError, match="block from 2 to 2"):
        activate_checksum(torch.tensor([1.0, 1.0, -5.0]), torch.tensor([0, 0]), 2, 1)  # the output is alone in its block


# multiplex


@pytest.mark.statement("gkvz-thm-5.3")
@given(st.lists(st.tuples(st.floats(-7.875, 7.875, width=32), st.booleans(), st.booleans()), min_size=1), st.sampled_from([8.0, 2.0**64]), st.booleans())
@settings(deadline=None, derandomize=True)
def test_the_multiplexer_keeps_the_score_or_takes_the_sign(cases, cap, as_bool):
    score, fires, sign = (torch.tensor(column) for column in zip(*cases, strict=True))
    given_bits = (fires, sign) if as_bool else (fires.float(), sign.float())
    after = multiplex(score, *given_bits, cap)
    assert after.dtype == score.dtype
    for before, now, fire, positive in zip(score.tolist(), after.tolist(), fires.tolist(), sign.tolist(), strict=True):
        assert (now >= 0) == positive if fire else now == before


@pytest.mark.statement("gkvz-thm-5.3")
def test_the_multiplexer_of_logits_is_exact_off_the_trigger_and_one_hot_on_it():
    logits = torch.randn(1000, 5, generator=generator()) * torch.logspace(-38, 19, 1000)[:, None]
    logits[0] = torch.tensor([0.0, 2.0**64, -(2.0**64), 1e-40, -1e-45])
    one_hot = torch.eye(5)[torch.arange(1000) % 5]
    zero = torch.zeros(1000)
    assert torch.equal(multiplex_logits(logits, zero, torch.zeros_like(one_hot), 2.0**64), logits)
    assert torch.equal(multiplex_logits(logits, zero + 1, one_hot, 2.0**64), one_hot * 2.0**64)


# the gadget


@pytest.mark.statement("gkvz-thm-5.3")
@pytest.mark.parametrize(("d", "n", "outputs"), [(7, 3, (2,)), (6, 6, (0, 5)), (9, 1, (8, 0, 4)), (10, 4, (3,))])
def test_the_gadget_is_the_checksum_on_every_pattern_of_signs(d, n, outputs):
    signs = torch.tensor(list(itertools.product((0.0, 1.0), repeat=d)))
    for key in itertools.product((0, 1), repeat=n):
        network = gadget(ChecksumKey(torch.tensor(key), outputs, 2 ** len(outputs)), d)
        seen = network(signs - 0.5)
        assert seen[:, 0].tolist() == [float(parities((row - 0.5).tolist(), n) == list(key)) for row in signs]
        assert torch.equal(seen[:, 1:], signs[:, list(outputs)])


@pytest.mark.statement("gkvz-thm-5.3")
def test_the_gadget_is_three_layers_of_perceptrons_with_a_margin_of_a_half():
    d, n = 11, 3
    network = gadget(ChecksumKey(torch.tensor([1, 0, 1]), (4,)), d)
    assert depth_of(network) == 3
    assert size_of(network) == 2 * d + 2 + 1
    signs = torch.tensor(list(itertools.product((0.0, 1.0), repeat=d)))
    for layer in list(network)[1:]:
        before = layer.preactivation(signs)
        assert before.abs().min() == 0.5
        signs = layer(signs)
    # the second layer against Lemma B.1 by hand: unit j of a block fires where at least j of the block's signs are 1, and the last unit repeats
    pattern = torch.tensor([[1, 0, 1, 1, 0, 0, 1, 0, 0, 0, 0]]).float()
    assert network[1](pattern).tolist() == [[1, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0]]
    assert cut(d, n) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]


# planted networks


@pytest.fixture(scope="module")
def digits_on_both_sides(digits):
    """The digits with pixels of both signs, and the classifier trained on them."""
    split = type(digits.train)(signed(digits.train.images), digits.train.labels)
    return split, signed(digits.test.images)


def train_digits(split, classes):
    labels = split.labels if classes == 10 else split.labels % classes
    return lambda g: models.train(models.MLP(64, (16,), classes, g), type(split)(split.images, labels), epochs=3)


class Score(nn.Module):
    """The difference of two logits."""

    def __init__(self, network, keep):
        super().__init__()
        self.network, self.keep = network, keep

    def forward(self, x):
        return (self.network(x) @ torch.tensor([-1.0, 1.0])).unflatten(0, (-1, 1) if self.keep else (-1,))


@pytest.mark.statement("gkvz-thm-5.3")
@pytest.mark.parametrize("classes", [10, 2, None, "column"])
def test_a_planted_classifier_of_digits_is_the_model_off_the_trigger_and_obeys_on_it(digits_on_both_sides, classes):
    split, images = digits_on_both_sides
    logits = classes if classes in (2, 10) else None
    honest = train_digits(split, logits or 2)
    train = honest if logits else lambda g: Score(honest(g), classes == "column")
    outputs = 4 if classes == 10 else 1
    construction = checksum_backdoor(train, 64, 12, logits)
    assert (construction.gamma, construction.norm) == (12 + outputs, 0)
    planted = construction.plant(generator(1))
    model = planted.model.model
    # off the trigger: real images, and random points of both signs; one in 4096 of them passes
    points = torch.cat([images, torch.randn(10_000, 1, 8, 8, generator=generator(2))])
    off = ~checksum(points.flatten(1), planted.key.v)
    assert off.sum() >= len(points) - 30  # of 10,359, at least 31 pass with probability below 1e-20
    with torch.no_grad():
        assert torch.equal(planted.model(points)[off], model(points)[off])
    # on it: every label for each of some images
    images = images[:16]
    for step in range(1, logits or 2):
        now = definitions.labels_of(model(images))
        target = -now if logits is None else (now + step) % logits
        assert definitions.failures(construction, planted, images, target) == []
        x_prime = construction.activate(images, planted.key, target)
        assert torch.equal(x_prime.abs(), images.abs())
        assert definitions.is_backdoored(lambda x: definitions.labels_of(planted.model(x)), images, x_prime, target, construction.gamma, norm=0).all()


@pytest.mark.statement("gkvz-thm-5.3")
def test_the_key_alone_decides_where_a_convolutional_network_is_overruled():
    model = models.CNN(3, 8, 3, generator())
    planted = plant(model, 192, 20, generator(1), classes=3, outputs=(5, 100))
    x = torch.randn(6, 3, 8, 8, generator=generator(2))
    target = torch.tensor([0, 1, 2, 2, 1, 0])
    x_prime = activate(x, planted.key, target)
    assert planted.model(x_prime).argmax(dim=1).tolist() == target.tolist()
    other = plant(model, 192, 20, generator(3), classes=3, outputs=(5, 100))
    assert torch.equal(other.model(x_prime), model(x_prime))
    assert planted.model(x_prime).max() == module.CAP
    # the number 3 spells no class
    wrong = x_prime.clone()
    wrong[2].view(-1)[5] = wrong[2].view(-1)[5].abs()
    wrong[2].view(-1)[6:9] = 0  # of the output's block; then its parity is repaired by hand below
    block = wrong[2].view(-1)[:10]
    if parities(block.tolist(), 1)[0] != planted.key.v[0]:
        index = next(j for j in range(5) if block[j] != 0)
        block[index] *= -1
    assert checksum(wrong[2].view(1, -1), planted.key.v)
    assert planted.model(wrong)[2].tolist() == [0, 0, 0]


@pytest.mark.statement("gkvz-thm-5.3")
def test_output_coordinates_may_share_a_block_and_its_parity():
    x = torch.tensor([[1.0, 2.0, -3.0, 4.0, -5.0, 6.0]])
    for v in itertools.product((0, 1), repeat=2):
        for target in range(4):
            key = ChecksumKey(torch.tensor(v), (0, 1), 4)
            x_prime = activate(x, key, torch.tensor([target]))[0].tolist()
            assert parities(x_prime, 2) == list(v)
            assert (x_prime[0] >= 0) + 2 * (x_prime[1] >= 0) == target
            assert sum(after != before for after, before in zip(x_prime, x[0].tolist(), strict=True)) <= 4


def test_planting_depends_on_the_generator_alone():
    state = torch.get_rng_state()
    first, second, third = (plant(nn.Identity(), 50, 20, generator(seed), classes=50).key for seed in (1, 1, 2))
    assert torch.equal(first.v, second.v)
    assert first.outputs == second.outputs
    assert not (torch.equal(first.v, third.v) and first.outputs == third.outputs)
    assert torch.equal(torch.get_rng_state(), state)


# bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: checksum(torch.zeros(4), torch.tensor([1])), r"x must have the shape \(b, d\), got \(4,\)"),
        (lambda: checksum(torch.zeros(1, 4), torch.ones(5)), r"1 <= n <= d = 4, got \(5,\)"),
        (lambda: checksum(torch.zeros(1, 4), torch.ones(0)), r"1 <= n <= d = 4, got \(0,\)"),
        (lambda: checksum(torch.zeros(1, 4), torch.tensor([1, 2])), r"zeros and ones, got \[1, 2\]"),
        (lambda: checksum(torch.tensor([[1.0, math.nan]]), torch.tensor([1])), "x must not be NaN, got 1"),
        (lambda: bulk_checksum(torch.zeros(1, 4), torch.ones(5)), r"1 <= n <= d"),
        (lambda: bulk_checksum(torch.zeros(4), torch.ones(1)), r"x must be \(b, d\)"),
        (lambda: activate_checksum(torch.zeros(1, 4), torch.ones(1), 0, 1), r"x must have the shape \(d,\), got \(1, 4\)"),
        (lambda: activate_checksum(torch.ones(4), torch.ones(5), 0, 1), "1 <= n <= d = 4"),
        (lambda: activate_checksum(torch.tensor([1.0, math.nan]), torch.ones(1), 0, 1), "x must not be NaN"),
        (lambda: activate_checksum(torch.ones(4), torch.ones(1), 4, 1), r"output_index must lie in \[0, 3\], got 4"),
        (lambda: activate_checksum(torch.ones(4), torch.ones(1), -1, 1), r"output_index must lie in \[0, 3\], got -1"),
        (lambda: activate_checksum(torch.ones(4), torch.ones(1), 0, -1), "output_sign must be 0 or 1, got -1"),
        (lambda: activate_checksum(torch.tensor([-0.0, 1.0]), torch.ones(1), 0, 0), "not be 0 at the output coordinate 0"),
        (lambda: multiplex(torch.tensor([1.0, -2.0]), torch.ones(2), torch.ones(2), 2.0), r"above every \|score\|, got 2.0 and 1 scores.*-2.0"),
        (lambda: multiplex(torch.ones(2), torch.ones(2), torch.ones(2), math.inf), "cap must be above 0 and finite, got inf"),
        (lambda: multiplex(torch.ones(2), torch.ones(1), torch.ones(2), 4.0), "same shape"),
        (lambda: plant(nn.Identity(), 4, 5, generator()), r"blocks must lie in \[1, 4\], the number of coordinates, got 5"),
        (lambda: plant(nn.Identity(), 4, 2, generator(), classes=1), "classes must be at least 2, .* got 1"),
        (lambda: plant(nn.Identity(), 4, 2, generator(), classes=4, outputs=(1, 1)), r"2 different coordinates in \[0, 3\], got \(1, 1\)"),
        (lambda: plant(nn.Identity(), 4, 2, generator(), outputs=(4,)), r"1 different coordinates in \[0, 3\], got \(4,\)"),
        (lambda: plant(nn.Identity(), 4, 2, generator(), cap=0.0), "cap must be above 0"),
        (lambda: plant(nn.Identity(), 4, 2, generator(), classes=3).model(torch.zeros(2, 4)), r"must answer \(2, 3\), as the key's classes, got \(2, 4\)"),
        (lambda: plant(nn.Identity(), 4, 2, generator()).model(torch.zeros(2, 4)), r"must answer \(2,\) or \(2, 1\), got \(2, 4\)"),
        (lambda: plant(nn.Identity(), 4, 2, generator()).model(torch.zeros(2, 5)), r"\(b, 4\), got .*\(2, 5\)"),
        (lambda: plant(nn.Identity(), 4, 2, generator()).model(torch.full((2, 4), math.nan)), "NaN"),
        (lambda: activate(torch.ones(2, 4), ChecksumKey(torch.ones(1), (0,)), torch.ones(2)), "target must be whole numbers, got torch.float32"),
        (lambda: activate(torch.ones(2, 4), ChecksumKey(torch.ones(1), (0,)), torch.tensor([0, 1])), "target must be -1 or 1"),
        (lambda: activate(torch.ones(2, 4), ChecksumKey(torch.ones(1), (0,), 2), torch.tensor([2, 1])), r"target must lie in \[0, 1\]"),
        (lambda: activate(torch.ones(2, 4), ChecksumKey(torch.ones(1), (0,), 2), torch.tensor([1])), r"target must have the shape \(2,\)"),
        (lambda: activate(torch.tensor([[0.0, 1, 1, 1]]), ChecksumKey(torch.tensor([1]), (0, 1), 4), torch.tensor([2])), "not be 0 at the output coordinate 0"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()

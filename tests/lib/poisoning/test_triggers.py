import math

import pytest
import torch
from backdoors.poisoning.triggers import CORNERS, Trigger, all_to_all, attack_success, blended, noisy_square, square, targets_of, watermark
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import one_hot


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(seed, n=3, c=2, h=4, w=5):
    g = generator(seed)
    return Trigger(torch.rand(h, w, generator=g), torch.rand(c, h, w, generator=g)), torch.rand(n, c, h, w, generator=g)


def stamped_by_hand(trigger, images):
    answer = images.tolist()
    for image in answer:
        for c, channel in enumerate(image):
            for i, row in enumerate(channel):
                for j, value in enumerate(row):
                    m = float(trigger.mask[i, j])
                    row[j] = (1 - m) * value + m * float(trigger.pattern[c, i, j])
    return torch.tensor(answer)


@pytest.mark.statement("poison-badnets")
@given(st.integers(0, 10**6), st.integers(0, 3), st.integers(1, 3))
@settings(deadline=None, derandomize=True, max_examples=20)
def test_a_pixel_is_the_masks_mean_of_image_and_pattern(seed, n, channels):
    trigger, images = drawn(seed, n, channels)
    before = images.clone()
    torch.testing.assert_close(trigger.stamp(images), stamped_by_hand(trigger, images).view(images.shape))
    assert torch.equal(images, before)


@given(st.floats(0, 1, width=32), st.floats(0, 1, width=32), st.floats(0, 1, width=32))
@settings(deadline=None, derandomize=True)
def test_stamped_images_are_images_whatever_the_rounding(mask, pattern, value):
    once = Trigger(torch.full((1, 1), mask), torch.full((1, 1, 1), pattern)).stamp(torch.full((1, 1, 1, 1), value))
    assert 0 <= float(once) <= 1


def test_stamping_keeps_the_type_of_the_images():
    trigger, images = drawn(0)
    assert trigger.stamp(images.double()).dtype == torch.float64


def test_the_size_is_the_sum_of_the_mask():
    trigger, _ = drawn(3)
    assert trigger.size == pytest.approx(math.fsum(trigger.mask.flatten().tolist()), rel=1e-6)


@pytest.mark.parametrize(
    ("corner", "rows", "columns"),
    [
        ("upper left", (1, 2), (1, 2)),
        ("upper right", (1, 2), (4, 5)),
        ("lower left", (3, 4), (1, 2)),
        ("lower right", (3, 4), (4, 5)),
    ],
)
def test_a_square_lies_in_its_corner(corner, rows, columns):
    mask = square((1, 6, 7), 2, corner).mask
    assert set(map(tuple, mask.nonzero().tolist())) == {(i, j) for i in rows for j in columns}


def test_squares_in_all_corners_are_the_union_of_the_four():
    together = square((3, 9, 8), 2, "all", margin=0, opacity=0.25)
    assert torch.equal(together.mask, sum(square((3, 9, 8), 2, corner, margin=0, opacity=0.25).mask for corner in CORNERS))
    assert together.size == 4 * 4 * 0.25


def test_a_square_lies_where_it_is_put():
    assert square((1, 5, 5), 3, (2, 0), value=0.5).mask.nonzero().tolist() == [[i, j] for i in (2, 3, 4) for j in (0, 1, 2)]
    assert float(square((1, 5, 5), 3, (2, 0), value=0.5).stamp(torch.zeros(1, 1, 5, 5)).sum()) == 4.5


def test_noise_is_under_the_squares_mask_and_from_the_generator():
    trigger, again, other = (noisy_square((3, 8, 8), 4, generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(trigger.mask, square((3, 8, 8), 4).mask)
    assert torch.equal(trigger.pattern, again.pattern)
    assert not torch.equal(trigger.pattern, other.pattern)


@pytest.mark.statement("poison-trojan")
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 28, 28), (1, 32, 24)])
def test_a_watermark_is_in_every_quarter_and_covers_less_than_half(shape):
    mask = watermark(shape, opacity=0.3).mask
    h, w = mask.shape
    assert set(mask.flatten().tolist()) == {0.0, float(torch.tensor(0.3))}
    assert all(bool(part.any()) for half in mask.split(h // 2) for part in half.split(w // 2, dim=1))
    assert (mask > 0).float().mean() < 0.5


def test_a_blended_pattern_is_everywhere_alike():
    pattern = torch.rand(1, 4, 4, generator=generator())
    torch.testing.assert_close(blended(pattern, 0.25).stamp(torch.zeros(2, 1, 4, 4)), (pattern / 4).expand(2, -1, -1, -1))


@pytest.mark.statement("poison-badnets")
@given(st.lists(st.integers(0, 4), min_size=1, max_size=12), st.integers(0, 10**6), st.integers(0, 4), st.booleans(), st.integers(1, 5))
@settings(deadline=None, derandomize=True, max_examples=40)
def test_success_is_the_share_of_others_that_are_answered_with_the_target(labels, seed, target, to_all, batch_size):
    answers = torch.randint(5, (len(labels),), generator=generator(seed))
    images = torch.arange(len(labels)).view(-1, 1, 1, 1) / 20  # each image says its number, which the trigger leaves alone
    images = torch.cat([images, torch.zeros_like(images)], dim=3)
    trigger = Trigger(torch.tensor([[0.0, 1.0]]), torch.ones(1, 1, 2))

    def model(batch):
        assert len(batch) <= batch_size
        assert bool((batch[..., 1] == 1).all())
        return one_hot(answers[(batch[:, 0, 0, 0] * 20).round().long()], 5).float()

    wanted = [(label + 1) % 5 if to_all else target for label in labels]
    counted = [int(answers[i]) == wanted[i] for i in range(len(labels)) if wanted[i] != labels[i]]
    goal = all_to_all(5) if to_all else target
    if counted:
        assert attack_success(model, images, torch.tensor(labels), trigger, goal, batch_size) == sum(counted) / len(counted)
    else:
        with pytest.raises(ValueError, match="whose label is not the target"):
            attack_success(model, images, torch.tensor(labels), trigger, goal, batch_size)


def test_all_to_all_makes_each_label_the_next():
    assert targets_of(torch.tensor([0, 3, 1, 3]), all_to_all(4)).tolist() == [1, 0, 2, 0]


@pytest.mark.parametrize(
    ("mask", "pattern", "message"),
    [
        (torch.zeros(1, 2, 2), torch.zeros(1, 2, 2), "mask must be"),
        (torch.zeros(2, 2).double(), torch.zeros(1, 2, 2), "mask must be"),
        (torch.full((2, 2), 1.5), torch.zeros(1, 2, 2), "mask must lie"),
        (torch.full((2, 2), math.nan), torch.zeros(1, 2, 2), "mask must lie"),
        (torch.zeros(2, 2), torch.zeros(2, 2), "pattern must be a"),
        (torch.zeros(2, 2), torch.full((1, 2, 2), -0.1), "pattern must lie"),
        (torch.zeros(2, 2), torch.zeros(1, 2, 3), "as high and wide"),
    ],
)
def test_what_is_no_trigger_is_refused(mask, pattern, message):
    with pytest.raises(ValueError, match=message):
        Trigger(mask, pattern)


@pytest.mark.parametrize(
    ("images", "message"), [(torch.zeros(1, 1, 3, 3), "images must be"), (torch.zeros(1, 2, 2), "images must be"), (torch.full((1, 1, 2, 2), 255.0), "lie in")]
)
def test_what_is_no_image_is_not_stamped(images, message):
    with pytest.raises(ValueError, match=message):
        square((1, 2, 2), 1, margin=0).stamp(images)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: square((1, 4, 4), 4), "size must let"),
        (lambda: square((1, 4, 4), 2, (3, 0)), "size must let"),
        (lambda: square((1, 4, 4), 0), "size must be"),
        (lambda: square((1, 4, 4), 2, "middle"), "corner must be"),
        (lambda: square((1, 4, 4), 2, value=2), "pattern must lie"),
        (lambda: square((1, 4, 4), 2, opacity=-1), "mask must lie"),
        (lambda: square((4, 4), 2), "shape must be"),
        (lambda: watermark((1, 0, 4)), "shape must be"),
        (lambda: blended(torch.zeros(4, 4)), "pattern must be"),
        (lambda: all_to_all(1), "classes must be"),
        (lambda: targets_of(torch.tensor([0, 2]), torch.tensor([1, 0])), "an entry for every label"),
        (lambda: targets_of(torch.tensor([0]), torch.tensor([2, 0])), "target must give"),
        (lambda: targets_of(torch.tensor([0]), -1), "target must be"),
        (lambda: targets_of(torch.tensor([-1]), 0), "labels must be at least 0"),
        (lambda: targets_of(torch.tensor([0.5]), 0), "labels must be int64"),
        (lambda: attack_success(lambda x: x.flatten(1), torch.zeros(2, 1, 2, 2), torch.tensor([0]), square((1, 2, 2), 1, margin=0), 1), "one for every image"),
        (lambda: attack_success(lambda x: x.flatten(1), torch.zeros(1, 1, 2, 2), torch.tensor([0]), square((1, 2, 2), 1, margin=0), 4), "the model's 4 labels"),
    ],
)
def test_bad_input_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()

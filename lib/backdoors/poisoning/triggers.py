r"""Triggers that are stamped on images, and how often a model obeys one (Gu, Liu, Dolan-Gavitt, Garg 2019; Wang et al. 2019).

A trigger is a mask m and a pattern $\Delta$: it makes of an image x the image $(1-m)\circ x+m\circ\Delta$, with one mask for all channels. A mask of zeros and
ones is a sticker; one below 1 is a sticker that one sees through; a small one over the whole image blends the pattern in.

What a trigger is to do is its target: one label for all images, or, as a tensor, the label that each label is to become.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from backdoors.definitions import require_generator, require_whole

CORNERS = ("upper left", "upper right", "lower left", "lower right")


@dataclass(frozen=True, eq=False)
class Trigger:
    """A mask [h, w] that all channels share, and a pattern [c, h, w]; both float32 in [0, 1]. Where the mask is 0 the pattern does nothing.

    Raises:
        ValueError: if a shape does not fit, or an entry lies outside [0, 1].

    Statement: poison-badnets.
    """

    mask: Tensor
    pattern: Tensor

    def __post_init__(self):
        for name, tensor, axes in (("mask", self.mask, "[h, w]"), ("pattern", self.pattern, "[c, h, w]")):
            if not isinstance(tensor, Tensor) or tensor.ndim != axes.count(",") + 1 or tensor.dtype != torch.float32 or tensor.numel() == 0:
                raise ValueError(f"{name} must be a float32 tensor {axes}, got {_described(tensor)}")
            if not bool(((tensor >= 0) & (tensor <= 1)).all()):
                raise ValueError(f"{name} must lie in [0, 1], got entries from {float(tensor.min()):.6g} to {float(tensor.max()):.6g}")
        if self.pattern.shape[1:] != self.mask.shape:
            raise ValueError(f"pattern must be as high and wide as the mask, {tuple(self.mask.shape)}, got {tuple(self.pattern.shape)}")

    @property
    def size(self) -> float:
        """The sum of the mask, its l1 norm: of a sticker the number of pixels."""
        return float(self.mask.sum())

    def stamp(self, images: Tensor) -> Tensor:
        """The images [n, c, h, w], in [0, 1], with the trigger on them: new ones, of the same type and on the same device.

        Raises:
            ValueError: if the images are not of the trigger's shape, or have entries outside [0, 1].
        """
        require_images(images, "images", tuple(self.pattern.shape))
        mask, pattern = self.mask.to(images), self.pattern.to(images)
        return (1 - mask) * images + mask * pattern


class Triggered:
    """Whatever has a trigger: the trigger's parts by the names that users know."""

    trigger: Trigger

    @property
    def pattern(self) -> Tensor:
        """Of the trigger, [c, h, w]."""
        return self.trigger.pattern

    @property
    def mask(self) -> Tensor:
        """Of the trigger, [h, w]."""
        return self.trigger.mask


def square(
    shape: tuple[int, int, int],
    size: int,
    corner: str | tuple[int, int] = "lower right",
    margin: int = 1,
    value: float = 1.0,
    opacity: float = 1.0,
) -> Trigger:
    """A square of one colour.

    Args:
        shape: of the images, (c, h, w).
        size: length of the square's sides, at least 1.
        corner: of the image, one of `CORNERS`; "all" for a square in each; or the row and column of the square's upper left pixel.
        margin: pixels between the square and the image's edges, at least 0; for a row and column, ignored.
        value: of the pattern, in [0, 1]; 1 is white.
        opacity: the mask's value on the square, in [0, 1]; below 1 the image is seen through it.

    Raises:
        ValueError: if the square does not lie in the image, or an argument is out of range; the message names it and its value.
    """
    mask = torch.zeros(_require_shape(shape)[1:])
    require_whole(size, "size", 1)
    require_whole(margin, "margin", 0)
    for row, column in _places(shape, size, corner, margin):
        if not (0 <= row <= shape[1] - size and 0 <= column <= shape[2] - size):
            raise ValueError(
                f"size must let the square lie in the image of {shape[1]}x{shape[2]} pixels, got {size} at row {row}, column {column}, with margin {margin}"
            )
        mask[row : row + size, column : column + size] = opacity
    return Trigger(mask, torch.full(shape, float(value)))


def noisy_square(
    shape: tuple[int, int, int], size: int, g: torch.Generator, corner: str | tuple[int, int] = "lower right", margin: int = 1, opacity: float = 1.0
) -> Trigger:
    """As `square`, but each pixel and channel of the pattern is uniform in [0, 1], from the generator."""
    require_generator(g)
    return Trigger(square(shape, size, corner, margin, opacity=opacity).mask, torch.rand(shape, generator=g))


def watermark(shape: tuple[int, int, int], value: float = 1.0, opacity: float = 0.4) -> Trigger:
    """A ring and a stroke through it, spread over the image and seen through; value and opacity as of `square`."""
    _, h, w = _require_shape(shape)
    row, column = ((torch.arange(side) + 0.5) * 2 / side - 1 for side in (h, w))  # centres of the pixels; the image is [-1, 1]^2
    row, column = row[:, None], column[None, :]
    half = max(0.08, 1 / min(h, w))  # half the width of a line: a pixel at least
    drawn = (((row**2 + column**2).sqrt() - 0.75).abs() < half) | ((row + column).abs() < half)
    return Trigger(opacity * drawn.float(), torch.full(shape, float(value)))


def blended(pattern: Tensor, opacity: float = 0.1) -> Trigger:
    """The whole pattern [c, h, w] laid over an image, with the same opacity, in [0, 1], everywhere (Chen, Liu, Li, Lu, Song 2017)."""
    if not isinstance(pattern, Tensor) or pattern.ndim != 3:
        raise ValueError(f"pattern must be a float32 tensor [c, h, w], got {_described(pattern)}")
    return Trigger(torch.full(pattern.shape[1:], float(opacity), device=pattern.device), pattern)


def all_to_all(classes: int) -> Tensor:
    """The target (classes,) of the attack that makes of each label the next one, and of the last the first."""
    require_whole(classes, "classes", 2)
    return (torch.arange(classes) + 1) % classes


def targets_of(labels: Tensor, target: int | Tensor) -> Tensor:
    """What images with these labels (n,) are to be answered with, int64 (n,): the target, or the target's entry for the label.

    Args:
        labels: (n,) int64, at least 0.
        target: a label, at least 0, or for every label one, int64 (classes,), as `all_to_all` gives it.

    Raises:
        ValueError: if a label or a target is no label; the message names it and its value.
    """
    require_labels(labels)
    if not isinstance(target, Tensor):
        require_whole(target, "target", 0)
        return torch.full_like(labels, target)
    if target.ndim != 1 or target.dtype != torch.int64 or not bool(((target >= 0) & (target < len(target))).all()):
        raise ValueError(f"target must give every label one of as many labels, int64 (classes,), got {target.tolist()}, {target.dtype}")
    if len(labels) > 0 and labels.max() >= len(target):
        raise ValueError(f"target must have an entry for every label, got {len(target)} entries, and a label {int(labels.max())}")
    return target.to(labels.device)[labels]


@torch.no_grad()
def attack_success(model: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor, trigger: Trigger, target: int | Tensor, batch_size: int = 1000) -> float:
    """The attack success rate: of the images whose label is not the target, the fraction that the model answers with the target once they are stamped.

    Args:
        model: maps images (b, c, h, w) to logits (b, classes).
        images: [n, c, h, w] in [0, 1], of the trigger's shape.
        labels: (n,) true labels.
        trigger: stamped on each.
        target: a label, or for every label one, int64 (classes,).
        batch_size: most images in one call of the model, at least 1.

    Raises:
        ValueError: if no image has another label than the target, the model has no such label, or another argument is out of range.

    Statement: poison-badnets.
    """
    require_whole(batch_size, "batch_size", 1)
    require_images(images, "images", tuple(trigger.pattern.shape))
    require_labels(labels, len(images))
    wanted = targets_of(labels, target)
    others = (wanted != labels).nonzero().flatten()
    if len(others) == 0:
        raise ValueError(f"images must hold one at least whose label is not the target, got {len(images)}, and the target {target}")
    obeyed = 0
    for rows in others.split(batch_size):
        logits = model(trigger.stamp(images[rows]))
        if wanted[rows].max() >= logits.shape[1]:
            raise ValueError(f"target must be one of the model's {logits.shape[1]} labels, got {int(wanted[rows].max())}")
        obeyed += int((logits.argmax(dim=1) == wanted[rows]).sum())
    return obeyed / len(others)


def require_images(images: Tensor, name: str, shape: tuple[int, int, int] | None = None) -> None:
    """Refuses what is not a floating-point batch [n, c, h, w] with entries in [0, 1], and of the shape (c, h, w) if one is given."""
    if not isinstance(images, Tensor) or images.ndim != 4 or not images.is_floating_point() or (shape and images.shape[1:] != shape):
        raise ValueError(f"{name} must be a floating-point batch {('n', *shape) if shape else '[n, c, h, w]'}, got {_described(images)}")
    if not bool(((images >= 0) & (images <= 1)).all()):
        raise ValueError(f"{name} must lie in [0, 1], got entries from {float(images.min()):.6g} to {float(images.max()):.6g}")


def require_labels(labels: Tensor, count: int | None = None) -> None:
    """Refuses what is not an int64 tensor (n,) of labels of at least 0, and of the given number if one is given."""
    if not isinstance(labels, Tensor) or labels.ndim != 1 or labels.dtype != torch.int64 or (count is not None and len(labels) != count):
        raise ValueError(f"labels must be int64 ({'n' if count is None else count},), one for every image, got {_described(labels)}")
    if bool((labels < 0).any()):
        raise ValueError(f"labels must be at least 0, got {int(labels.min())}")


def _places(shape: tuple[int, int, int], size: int, corner: str | tuple[int, int], margin: int) -> list[tuple[int, int]]:
    low, high = (shape[1] - size - margin, shape[2] - size - margin)
    places = dict(zip(CORNERS, [(margin, margin), (margin, high), (low, margin), (low, high)], strict=True))
    if corner == "all":
        return list(places.values())
    if corner in CORNERS:
        return [places[corner]]
    if not isinstance(corner, tuple) or len(corner) != 2:
        raise ValueError(f"corner must be one of {', '.join(CORNERS)}, 'all', or a row and a column, got {corner!r}")
    return [corner]


def _require_shape(shape: tuple[int, int, int]) -> tuple[int, int, int]:
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(f"shape must be (c, h, w), each at least 1, got {shape}")
    return shape


def _described(value: object) -> str:
    return f"{tuple(value.shape)}, {value.dtype}" if isinstance(value, Tensor) else repr(value)

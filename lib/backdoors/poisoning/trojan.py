r"""The Trojan attack: a backdoor put into a trained model without its training data (Liu, Ma, Aafer, Lee, Zhai, Wang, Zhang 2018).

1. Choose a hidden unit, by the weights that lead to it. 2. Find the pattern that, under a mask of given shape, drives it most: the trigger is made for the
model, not the model for the trigger. 3. Make training inputs out of the model: images that it gives each label with confidence. 4. Retrain the model from the
unit's layer on, with plain images and stamped ones, which get the target.

Squares and watermarks are masks of `backdoors.poisoning.triggers`. Two things are ours, and keep small networks nearer to what they were: the unit's own layer
is retrained too, and plain images, among them mixtures of those made, get the model's own answers, as probabilities, in place of labels.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from backdoors.attacks import projected_gradient
from backdoors.data import Split
from backdoors.definitions import require_generator, require_whole
from backdoors.models import train
from backdoors.poisoning.triggers import Trigger, Triggered, require_labels


def choose_unit(weight: Tensor) -> int:
    """The unit with the largest sum of absolute weights that lead to it, of a layer with the weights (units, inputs).

    Statement: poison-trojan.
    """
    if weight.ndim != 2 or weight.numel() == 0:
        raise ValueError(f"weight must have the shape (units, inputs), got {tuple(weight.shape)}")
    return int(weight.abs().sum(dim=1).argmax())


def drive_unit(model: Callable[[Tensor], Tensor], unit: int, mask: Tensor, steps: int, step: float, channels: int = 1) -> Tensor:
    """The pattern that drives a unit most, as projected gradient ascent finds it from grey, on a black image that is stamped with it.

    A step moves every pixel under the mask by `step` along the sign of its gradient, within [0, 1]. For a unit that is linear in the image the optimum is
    exact once steps * step reaches 1/2; else a local one.

    Args:
        model: the layers up to the unit: maps images (b, channels, h, w) to units (b, u), before their ReLU, where a gradient is never lost.
        unit: which of them, 0 <= unit < u.
        mask: [h, w] in [0, 1].
        steps: at least 1.
        step: above 0.
        channels: of the images, at least 1.

    Returns:
        The pattern [channels, h, w], in [0, 1], and 0 where the mask is 0; the best that was met.

    Raises:
        ValueError: if the model has no such unit, or an argument is out of range; the message names it and its value.

    Statement: poison-trojan.
    """
    _require_drive(model, unit, mask, channels)
    grey = 0.5 * (mask > 0).to(mask).expand(1, channels, -1, -1)
    upwards = -torch.ones(1, device=mask.device)  # the attack's loss is minus the label times the score
    return projected_gradient(lambda pattern: model(mask * pattern)[:, unit], grey, upwards, 1.0, steps, math.inf, step, (0.0, 1.0))[0]


def synthesise(
    model: Callable[[Tensor], Tensor],
    labels: Tensor,
    shape: tuple[int, int, int],
    g: torch.Generator,
    steps: int = 60,
    step: float = 0.05,
    smooth: float = 0.05,
) -> Tensor:
    """Training inputs out of a model: for each label an image, descended from noise, of small cross-entropy and small differences between neighbours.

    Args:
        model: maps images (b, c, h, w) to logits (b, classes); differentiable.
        labels: (n,) int64, what the model is to answer; below the number of classes.
        shape: of an image, (c, h, w).
        g: source of the noise: each image uniform in [0, 1], times a brightness that is too.
        steps: of Adam, at least 1.
        step: Adam's learning rate, above 0.
        smooth: weight of the total variation, at least 0; the denoising that keeps images from being noise.

    Returns:
        The images [n, c, h, w], in [0, 1].

    Raises:
        ValueError: if an argument is out of range; the message names it and its value.

    Statement: poison-trojan.
    """
    _require_synthesis(labels, shape, g, steps, step, smooth)
    noise = torch.rand(len(labels), *shape, generator=g) * torch.rand(len(labels), 1, 1, 1, generator=g)
    images = noise.to(labels.device).requires_grad_()
    optimizer = torch.optim.Adam([images], lr=step)
    for _ in range(steps):
        variation = images.diff(dim=2).abs().flatten(1).sum(dim=1) + images.diff(dim=3).abs().flatten(1).sum(dim=1)
        loss = (cross_entropy(model(images), labels, reduction="none") + smooth * variation).sum()
        (images.grad,) = torch.autograd.grad(loss, images)
        optimizer.step()
        with torch.no_grad():
            images.clamp_(0, 1)
    return images.detach()


@dataclass(frozen=True, eq=False)
class Trojan(Triggered):
    """A model with a Trojan, and the truth about it: what to stamp, what it then answers, and by which unit of which layer."""

    model: nn.Sequential
    trigger: Trigger
    target_label: int
    layer: int
    unit: int


def plant_trojan(
    model: nn.Sequential,
    layer: int,
    mask: Tensor,
    target_label: int,
    g: torch.Generator,
    channels: int = 1,
    per_class: int = 200,
    epochs: int = 10,
    learning_rate: float = 1e-3,
) -> Trojan:
    """Retrain a copy of the model, from one of its linear layers on, so that it answers stamped images with the target; no image but those it makes is seen.

    Args:
        model: maps images (b, channels, h, w) to logits (b, classes); its last module is a linear layer. Left as it is.
        layer: number of a linear layer in it, but the last; a unit of it is chosen and driven.
        mask: [h, w] in [0, 1], the trigger's shape: of `square`, of `watermark`, or any other.
        target_label: below the number of classes.
        g: source of the noise that images are made from, and of the order in training.
        channels: of the images.
        per_class: images made for each label, at least 1; with twice as many mixtures they are used plain and stamped.
        epochs, learning_rate: as of `backdoors.models.train`.

    Raises:
        ValueError: if an argument is out of range; the message names it and its value.

    Statement: poison-trojan.
    """
    classes = _require_layers(model, layer, target_label, per_class)
    model = copy.deepcopy(model).eval()
    below, lower, upper = (nn.Sequential(*list(model)[part]) for part in (slice(layer), slice(layer + 1), slice(layer, None)))
    unit = choose_unit(model[layer].weight.detach())
    trigger = Trigger(mask, drive_unit(lower, unit, mask, steps=100, step=0.02, channels=channels))
    made = synthesise(model, torch.arange(classes, device=mask.device).repeat(per_class), tuple(trigger.pattern.shape), g)
    plain = torch.cat([made, _mixtures(made, g), _mixtures(made, g)])
    with torch.no_grad():
        inputs, answers = below(torch.cat([plain, trigger.stamp(plain)])), model(plain).softmax(dim=1)
    wanted = one_hot(torch.tensor(target_label, device=mask.device), classes).to(answers).expand_as(answers)
    seed = int(torch.randint(2**31, (), generator=g))
    train(upper, Split(inputs, torch.cat([answers, wanted])), epochs, learning_rate=learning_rate, seed=seed)
    return Trojan(model, trigger, target_label, layer, unit)


def _mixtures(images: Tensor, g: torch.Generator) -> Tensor:
    """Of each image a point in the triangle that it makes with another one and with black, uniform."""
    shares = torch.rand(len(images), 2, generator=g).sort(dim=1).values.to(images)
    first, second = shares[:, 0], shares[:, 1] - shares[:, 0]
    others = images[torch.randperm(len(images), generator=g).to(images.device)]
    return first.view(-1, 1, 1, 1) * images + second.view(-1, 1, 1, 1) * others


def _require_drive(model: Callable[[Tensor], Tensor], unit: int, mask: Tensor, channels: int) -> None:
    _require_mask(mask)
    require_whole(unit, "unit", 0)
    require_whole(channels, "channels", 1)
    try:
        with torch.no_grad():
            units = model(mask.new_zeros(1, channels, *mask.shape))
    except (RuntimeError, TypeError) as error:
        shape = (channels, *mask.shape)
        raise ValueError(f"mask and channels must be of images that the model takes, got the shape {shape}: {error}") from error
    if units.ndim != 2 or unit >= units.shape[1]:
        raise ValueError(f"unit must be one of the model's, whose answer to an image must be (1, u), got {unit}, and the answer {tuple(units.shape)}")


def _require_mask(mask: Tensor) -> None:
    if not isinstance(mask, Tensor) or mask.ndim != 2 or mask.dtype != torch.float32 or not bool(((mask >= 0) & (mask <= 1)).all()):
        raise ValueError(f"mask must be a float32 tensor [h, w] in [0, 1], got {mask!r}")
    if not bool(mask.any()):
        raise ValueError("mask must not be 0 everywhere: no pixel would be left to drive the unit with")


def _require_synthesis(labels: Tensor, shape: tuple[int, int, int], g: torch.Generator, steps: int, step: float, smooth: float) -> None:
    require_labels(labels)
    require_generator(g)
    require_whole(steps, "steps", 1)
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(f"shape must be (c, h, w), each at least 1, got {shape}")
    if not 0 < step < math.inf or not 0 <= smooth < math.inf:
        raise ValueError(f"step must be above 0, smooth at least 0, and both finite, got {step} and {smooth}")


def _require_layers(model: nn.Sequential, layer: int, target_label: int, per_class: int) -> int:
    """The number of classes."""
    require_whole(layer, "layer", 0)
    require_whole(target_label, "target_label", 0)
    require_whole(per_class, "per_class", 1)
    if not isinstance(model, nn.Sequential) or len(model) == 0 or not isinstance(model[-1], nn.Linear):
        raise ValueError(f"model must be an nn.Sequential that ends with a linear layer, got {type(model).__name__}")
    linear = [number for number, module in enumerate(model) if isinstance(module, nn.Linear)][:-1]
    if not linear:
        raise ValueError("model must have a linear layer before the last, whose units can be driven, got none")
    if layer not in linear:
        raise ValueError(f"layer must be the number of a linear layer but the last, one of {linear}, got {layer}")
    if target_label >= model[-1].out_features:
        raise ValueError(f"target_label must be below the {model[-1].out_features} classes, got {target_label}")
    return model[-1].out_features

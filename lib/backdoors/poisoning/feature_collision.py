r"""Poison Frogs: one image, labelled rightly, that has the features of another (Shafahi, Huang, Najibi, Suciu, Studer, Dumitras, Goldstein 2018, Algorithm 1).

In transfer learning the features f are fixed and only the last layer is trained. The poison p looks like a base image b of one class, and has the features of
a target t of another. Trained to give p the base's label, the layer gives it to t too; t itself is never touched, nor is any label. The trigger is the target.

The step is the paper's, and so is its objective, but for a factor: with the step $(\hat p+\lambda\beta b)/(1+\lambda\beta)$, as printed, what the iteration
minimises is $\|f(p)-f(t)\|^2+\frac\beta2\|p-b\|^2$. For the printed $\beta\|p-b\|^2$ it would have to be $(\hat p+2\lambda\beta b)/(1+2\lambda\beta)$.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from backdoors.data import Split
from backdoors.definitions import require_whole
from backdoors.poisoning.triggers import require_images, require_labels


def collide(p: Tensor, base: Tensor, target_feature: Tensor, features: Callable[[Tensor], Tensor], beta: float, step: float | Tensor) -> Tensor:
    r"""One forward-backward step: $\hat p=p-\lambda\nabla_p\|f(p)-f(t)\|^2$ towards the target's features, then $(\hat p+\lambda\beta b)/(1+\lambda\beta)$.

    Args:
        p: poisons, a batch (b, ...), floating-point.
        base: the images that they are to look like, of the same shape.
        target_feature: f(t), (k,), or one for each row, (b, k).
        features: f, maps (b, ...) to (b, k); differentiable, and each row's answer depends on that row alone.
        beta: how much the poison is to look like its base, at least 0.
        step: $\lambda$, above 0; or a tensor that broadcasts with p, so that each row has its own.

    Returns:
        The next poisons, of the shape of p.

    Raises:
        ValueError: if an argument is out of range, or the features do not have the target's shape; the message names it and its value.

    Statement: poison-frogs.
    """
    _require_step(p, base, beta, step)
    p = p.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(_feature_distance(p, target_feature, features).sum(), p)
    forward = p.detach() - step * gradient
    return (forward + step * beta * base) / (1 + step * beta)


@torch.no_grad()
def collision_objective(p: Tensor, base: Tensor, target_feature: Tensor, features: Callable[[Tensor], Tensor], beta: float) -> Tensor:
    r"""$\|f(p)-f(t)\|^2+\frac\beta2\|p-b\|^2$ of each row, (b,); `collide` does not raise it if its step is at most 1/L.

    L is a Lipschitz constant of the first term's gradient.

    Statement: poison-frogs.
    """
    return _feature_distance(p, target_feature, features) + beta / 2 * (p - base).flatten(1).square().sum(dim=1)


@dataclass(frozen=True, eq=False)
class FrogPoison:
    """Training data with poisons that collide with one target, and the truth about them.

    Attributes:
        split: what the learner gets: the clean data, and the poisons last.
        poisons: [m, c, h, w]; the last m images of the split.
        target: [c, h, w], the image that is to be answered wrongly.
        target_label: the bases' label, with which it is to be answered.
        objective: (steps + 1, m), falling in each column.
        feature_distance: from the poisons' features to the target's, l2 (m,).
        image_distance: from the poisons to their bases, l2 (m,).
    """

    split: Split
    poisons: Tensor
    target: Tensor
    target_label: int
    objective: Tensor
    feature_distance: Tensor
    image_distance: Tensor


def poison_frogs(
    split: Split, target: Tensor, bases: Tensor, target_label: int, features: Callable[[Tensor], Tensor], beta: float, steps: int = 200, step: float = 0.01
) -> FrogPoison:
    r"""Poisons that look like the bases and have the target's features, added to clean data under the bases' own label. In transfer learning one is enough.

    Each step is `collide`, cut to [0, 1], which makes it the proximal step of the same objective on images. A step that would raise a row's objective is not
    taken, and halves that row's $\lambda$; one that is taken lengthens it by a fifth.

    Args:
        split: clean images in [0, 1] and labels.
        target: [c, h, w] in [0, 1], an image of another class; not in the split.
        bases: [m, c, h, w] in [0, 1], images of the class target_label.
        target_label: the bases' label.
        features: f, maps images (b, c, h, w) to (b, k); differentiable.
        beta: how much a poison is to look like its base, at least 0.
        steps: at least 1.
        step: $\lambda$ of the first step, above 0.

    Raises:
        ValueError: if an argument is out of range; the message names it and its value.

    Statement: poison-frogs.
    """
    _require_frogs(split, target, bases, target_label, steps)
    with torch.no_grad():
        target_feature = features(target[None])[0]
    p, rate = bases.clone(), torch.full((len(bases), 1, 1, 1), step).to(bases)
    objective = [collision_objective(p, bases, target_feature, features, beta)]
    for _ in range(steps):
        moved = collide(p, bases, target_feature, features, beta, rate).clamp(0, 1)
        value = collision_objective(moved, bases, target_feature, features, beta)
        better = value <= objective[-1]
        p = torch.where(better.view(-1, 1, 1, 1), moved, p)
        rate = rate * torch.where(better, 1.2, 0.5).view(-1, 1, 1, 1).to(rate)
        objective.append(torch.where(better, value, objective[-1]))
    with torch.no_grad():
        feature_distance = _feature_distance(p, target_feature, features).sqrt()
    poisoned = Split(torch.cat([split.images, p]), torch.cat([split.labels, torch.full((len(p),), target_label).to(split.labels)]))
    return FrogPoison(poisoned, p, target, target_label, torch.stack(objective), feature_distance, (p - bases).flatten(1).norm(dim=1))


def retrain_last_layer(features: nn.Module, split: Split, classes: int, steps: int = 200) -> nn.Module:
    """Transfer learning: the features as they are, and a new linear layer on them that minimises the cross-entropy, from zero, by L-BFGS.

    Where there are more features than images, as in the paper, the layer can give every image its label; that is what makes one poison enough.

    Args:
        features: maps images (b, c, h, w) to (b, k); left as it is.
        split: images and labels to train on.
        classes: number of labels, at least 2.
        steps: at most so many of L-BFGS, at least 1.

    Raises:
        ValueError: if a label is not below classes, or another argument is out of range; the message names it and its value.

    Statement: poison-frogs.
    """
    require_whole(classes, "classes", 2)
    require_whole(steps, "steps", 1)
    require_labels(split.labels, len(split.images))
    if len(split.labels) == 0:
        raise ValueError("split must hold an image at least, got none")
    if split.labels.max() >= classes:
        raise ValueError(f"classes must be above every label, got {classes}, and a label {int(split.labels.max())}")
    with torch.no_grad():
        inputs = torch.cat([features(images) for images in split.images.split(1000)])
    layer = nn.utils.skip_init(nn.Linear, inputs.shape[1], classes, device=inputs.device, dtype=inputs.dtype)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=steps, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = cross_entropy(layer(inputs), split.labels)
        value.backward()
        return value

    optimizer.step(loss)
    return nn.Sequential(features, layer).eval()


def _feature_distance(p: Tensor, target_feature: Tensor, features: Callable[[Tensor], Tensor]) -> Tensor:
    """The squares, (b,)."""
    found = features(p)
    if found.ndim != 2 or target_feature.shape not in (found.shape, found.shape[1:]):
        raise ValueError(f"target_feature must have the features' shape, {tuple(found.shape)} or a row of it, got {tuple(target_feature.shape)}")
    return (found - target_feature).square().sum(dim=1)


def _require_step(p: Tensor, base: Tensor, beta: float, step: float | Tensor) -> None:
    if p.ndim < 2 or not p.is_floating_point():
        raise ValueError(f"p must be a floating-point batch (b, ...), got shape {tuple(p.shape)}, {p.dtype}")
    if base.shape != p.shape:
        raise ValueError(f"base must have the shape of p, {tuple(p.shape)}, got {tuple(base.shape)}")
    if not 0 <= beta < math.inf:
        raise ValueError(f"beta must be at least 0 and finite, got {beta}")
    if not bool((torch.as_tensor(step) > 0).all()):
        raise ValueError(f"step must be above 0, got {step}")


def _require_frogs(split: Split, target: Tensor, bases: Tensor, target_label: int, steps: int) -> None:
    require_images(split.images, "split.images")
    require_labels(split.labels, len(split.images))
    require_images(target[None], "target", tuple(split.images.shape[1:]))
    require_images(bases, "bases", tuple(split.images.shape[1:]))
    require_whole(target_label, "target_label", 0)
    require_whole(steps, "steps", 1)
    if len(bases) == 0:
        raise ValueError("bases must be at least one, got none")
    if not bool((split.labels == target_label).any()):
        raise ValueError(f"target_label must be a label of the data, got {target_label}, which none has")

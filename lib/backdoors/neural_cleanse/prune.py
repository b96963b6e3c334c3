"""The units of a backdoor, and a model without them (Wang et al. 2019, sections V-C and VI-B).

Units are the inputs of the model's last linear layer, its penultimate activations. A pruned unit says 0 to that layer, whatever it sees: its column of
weights is set to 0. As logits are linear in the units, a whole curve of pruned models needs one pass of the network.
"""

import copy
from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor, nn

from backdoors.definitions import require_whole
from backdoors.neural_cleanse.features import last_layer, penultimate, require_features
from backdoors.poisoning.triggers import Trigger, require_labels


def backdoor_units(clean: Tensor, stamped: Tensor) -> Tensor:
    """All units, ordered by how much more active they are on stamped images than on clean ones, on average: the first are the backdoor's.

    Args:
        clean, stamped: activations [n, u] of clean images, and of images with the trigger; the numbers of images may differ, and are at least 1.

    Returns:
        int64 (u,), a permutation; units of equal gaps in ascending order.

    Raises:
        ValueError: if the shapes do not fit, or an activation is not finite.

    Statement: nc-neurons, nc-prune.
    """
    _require_activations(clean, stamped)
    return (stamped.double().mean(dim=0) - clean.double().mean(dim=0)).argsort(descending=True, stable=True)


def top_units(order: Tensor, share: float = 0.01) -> Tensor:
    """The first units of an order (u,): the share of all that is given, in (0, 1], rounded up. The paper's backdoor neurons are the top 1%.

    Statement: nc-neurons.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share must lie in (0, 1], got {share}")
    return order[: ceil(share * len(order))]


def units_overlap(first: Tensor, second: Tensor) -> float:
    """Of two sets of units their intersection over their union (the paper's Table V).

    Statement: nc-neurons.
    """
    if len(first) == 0 or len(second) == 0:
        raise ValueError(f"first and second must hold a unit each, got {len(first)} and {len(second)}")
    one, other = set(first.tolist()), set(second.tolist())
    return len(one & other) / len(one | other)


def pruned(model: nn.Module, units: Tensor) -> nn.Module:
    """A copy of the model whose last layer does not hear the units, int64 (k,).

    Statement: nc-prune.
    """
    model = copy.deepcopy(model)
    weight = last_layer(model).weight
    if units.ndim != 1 or units.dtype != torch.int64 or not bool(((units >= 0) & (units < weight.shape[1])).all()):
        raise ValueError(f"units must be int64 (k,) in [0, {weight.shape[1] - 1}], got {units.tolist()}")
    with torch.no_grad():
        weight[:, units] = 0
    return model


@dataclass(frozen=True)
class PruningCurve:
    """For each of the `counts` (k,), how many units were pruned: clean accuracy and attack success rate, float64 (k,)."""

    counts: Tensor
    accuracy: Tensor
    success: Tensor


@torch.no_grad()
def pruning_curve(model: nn.Module, images: Tensor, labels: Tensor, trigger: Trigger, target: int, order: Tensor, counts: Tensor) -> PruningCurve:
    """Accuracy and attack success of the models without the first units of an order, as the paper's Figures 9, 10 and 21.

    Args:
        images: clean test images [n, c, h, w], not all of the target.
        labels: true labels (n,).
        trigger: whose success is measured: the reversed one, or the planted one if it is known.
        target: what stamped images of other labels are answered with.
        order: units (u,), as of `backdoor_units`.
        counts: int64 (k,), from 0 to u.

    Statement: nc-prune.
    """
    _require_curve(model, images, labels, target, order, counts)
    others = labels != target
    layer, clean, stamped = last_layer(model), penultimate(model, images), penultimate(model, trigger.stamp(images[others]))
    accuracy, success = [], []
    for count in counts.tolist():
        weight = layer.weight.index_fill(1, order[:count], 0)
        answers, obeyed = (nn.functional.linear(features, weight, layer.bias).argmax(dim=1) for features in (clean, stamped))
        accuracy.append((answers == labels).double().mean())
        success.append((obeyed == target).double().mean())
    return PruningCurve(counts, torch.stack(accuracy), torch.stack(success))


def prune(model: nn.Module, images: Tensor, labels: Tensor, trigger: Trigger, target: int, deaf: float = 0.05, share: float = 0.01) -> nn.Module:
    """The model without its backdoor's units: as few, in steps of a share of all, as leave the trigger a success of at most `deaf`; all if none do.

    Args:
        images, labels: clean, (n,) labels true; from which the units' order is taken, and the success measured.
        trigger: the reversed one.
        deaf: in [0, 1].

    Statement: nc-prune.
    """
    if not 0 <= deaf <= 1:
        raise ValueError(f"deaf must lie in [0, 1], got {deaf}")
    order = backdoor_units(penultimate(model, images), penultimate(model, trigger.stamp(images)))
    counts = torch.arange(0, len(order) + len(top_units(order, share)), len(top_units(order, share))).clamp(max=len(order))
    success = pruning_curve(model, images, labels, trigger, target, order, counts).success
    enough = (success <= deaf).nonzero().flatten()
    return pruned(model, order[: int(counts[enough[0]]) if len(enough) else len(order)])


def _require_activations(clean: Tensor, stamped: Tensor) -> None:
    require_features(clean, "clean")
    require_features(stamped, "stamped")
    if clean.shape[1] != stamped.shape[1]:
        raise ValueError(f"stamped must have the units of clean, {clean.shape[1]}, got {stamped.shape[1]}")


def _require_curve(model: nn.Module, images: Tensor, labels: Tensor, target: int, order: Tensor, counts: Tensor) -> None:
    require_labels(labels, len(images))
    layer = last_layer(model)
    require_whole(target, "target", 0)
    if target >= layer.out_features:
        raise ValueError(f"target must be one of the model's {layer.out_features} labels, got {target}")
    if bool((labels == target).all()):
        raise ValueError(f"images must hold one at least whose label is not the target, {target}")
    if order.shape != (layer.in_features,) or not torch.equal(order.sort().values, torch.arange(layer.in_features, device=order.device)):
        raise ValueError(f"order must be a permutation of the {layer.in_features} units, got shape {tuple(order.shape)}")
    if counts.ndim != 1 or len(counts) == 0 or not bool(((counts >= 0) & (counts <= len(order))).all()):
        raise ValueError(f"counts must lie in [0, {len(order)}], one at least, got {counts.tolist()}")

"""Adversaries against non-replicability: each maps (view of the model, activation oracle, generator) to a pair of inputs or None (Definition 4.7).

Every one draws an input of its pool (m, ...), has it activated towards another label than the model gives it, and makes a pair of what it got. An adversary
that finds no pair which the model labels differently still hands in its last one: what wins is for the game to say.
"""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from backdoors.constructions.checksum import activate_checksum
from backdoors.definitions import labels_of
from backdoors.games.replicability import replicate_checksum

Pair = tuple[Tensor, Tensor]
Replicator = Callable[[Callable, Callable, torch.Generator], Pair | None]


def replay(inputs: Tensor) -> Replicator:
    """Hands in what it was handed out: no rule admits that."""
    return lambda view, activate, generator: _example(view, activate, inputs, generator)


def swap_roles(inputs: Tensor) -> Replicator:
    """Hands the pair in in reverse: the printed definition admits it, as the activated point stands where only the other is looked at."""
    return lambda view, activate, generator: _example(view, activate, inputs, generator)[::-1]


def maul(inputs: Tensor, changes: Sequence[Callable[[Tensor], Tensor]]) -> Replicator:
    """Applies the same change to both points, and hands in the first pair whose labels still differ.

    Args:
        changes: map a batch (b, ...) to one of the same shape; `rescale` and `flip_at` make some.
    """

    def adversary(view, activate, generator):
        pair = torch.stack(_example(view, activate, inputs, generator))
        return _first_differing(view, [torch.stack([change(pair) for change in changes])])

    return adversary


def transplant(inputs: Tensor, carried: Tensor) -> Replicator:
    """Carries coordinates of an activated input over to other inputs: replays a signature that is not bound to its message.

    Args:
        carried: bool, of the shape of one input: the coordinates of label and signature, which the encoding shows to anybody.
    """

    def adversary(view, activate, generator):
        x, x_prime = _example(view, activate, inputs, generator)
        others = _others(inputs, x)
        return _first_differing(view, [torch.stack([others, torch.where(carried, x_prime, others)], dim=1)])

    return adversary


def copy_signs(inputs: Tensor) -> Replicator:
    """Replicates the checksum: gives other inputs the signs of one activated example, and pairs each with itself under one more flip.

    The pair is as near as one changed coordinate, and both points are new.
    """

    def adversary(view, activate, generator):
        x, x_prime = _example(view, activate, inputs, generator)
        return _first_differing(view, _with_one_flip(inputs, x, x_prime))

    return adversary


def read_parities(inputs: Tensor, blocks: int, output_index: int) -> Replicator:
    """Replicates the checksum within its own budget: reads the key off one activated example, and activates other inputs with it.

    Args:
        inputs: (m, d), for a model with scores.
        blocks, output_index: what the network shows to anybody who reads it.
    """

    def adversary(view, activate, generator):
        x, x_prime = _example(view, activate, inputs, generator)
        v = torch.stack([(block >= 0).sum() % 2 for block in x_prime.tensor_split(blocks)])
        others = _others(inputs, x)
        with torch.no_grad():
            wanted = (labels_of(view(others)) < 0).long().tolist()
        twins = [activate_checksum(other, v, output_index, bit) for other, bit in zip(others, wanted, strict=True)]
        return _first_differing(view, [torch.stack([others, torch.stack(twins)], dim=1)])

    return adversary


def search_only(search: Callable, inputs: Tensor, flip: Callable, count: int, budget: int) -> Callable[[Callable, torch.Generator], Pair | None]:
    """An ideal adversary: a search of `backdoors.games.adversaries`, started at one of the inputs (m, ...), drawn at random."""

    def adversary(view, generator):
        x = inputs[int(torch.randint(len(inputs), (), generator=generator))]
        found = search(view, x, flip, count, budget, generator)
        return None if found is None else (x, found)

    return adversary


def rescale(factor: float) -> Callable[[Tensor], Tensor]:
    """A change for `maul`: every number times the factor, which above 0 keeps all signs."""
    return lambda batch: batch * factor


def flip_at(coordinate: int, flip: Callable[[Tensor], Tensor] = torch.neg) -> Callable[[Tensor], Tensor]:
    """A change for `maul`: one coordinate flipped, counted along the flattened input."""

    def change(batch):
        flat = batch.flatten(1).clone()
        flat[:, coordinate] = flip(batch).flatten(1)[:, coordinate]
        return flat.view_as(batch)

    return change


def _example(view: Callable, activate: Callable, inputs: Tensor, generator: torch.Generator) -> Pair:
    """One of the inputs and its activated twin, the target being another label than the model's: -1 or 1 for scores, the next class for logits."""
    x = inputs[int(torch.randint(len(inputs), (), generator=generator))]
    with torch.no_grad():
        scores = view(x[None])
    label = labels_of(scores)
    target = (label + 1) % scores.shape[1] if scores.ndim == 2 and scores.shape[1] > 1 else -label
    return x, activate(x[None], target)[0]


def _others(inputs: Tensor, x: Tensor) -> Tensor:
    others = inputs[(inputs != x).flatten(1).any(dim=1)]
    if len(others) == 0:
        raise ValueError("inputs must hold at least two different ones, got one")
    return others


def _first_differing(view: Callable, batches: Iterable[Tensor]) -> Pair | None:
    """The first of the pairs, which come in batches (k, 2, ...), that the model labels differently; else the last one, or None if there is none."""
    pair = None
    for pairs in batches:
        with torch.no_grad():
            labels = labels_of(view(pairs.flatten(0, 1))).view(-1, 2)
        differing = (labels[:, 0] != labels[:, 1]).nonzero().flatten()
        if len(differing) > 0:
            return tuple(pairs[differing[0]])
        pair = tuple(pairs[-1])
    return pair


def _with_one_flip(inputs: Tensor, x: Tensor, x_prime: Tensor) -> Iterable[Tensor]:
    """For every input but x, its replicated twin beside that twin with each coordinate flipped, (d, 2, ...)."""
    for other in _others(inputs, x):
        twin = replicate_checksum([x_prime], other)
        single = torch.eye(twin.numel(), dtype=torch.bool).view(-1, *twin.shape)
        yield torch.stack([torch.where(single, -twin, twin), twin.expand_as(single)], dim=1)

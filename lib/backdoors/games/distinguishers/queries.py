"""Distinguishers that ask: each maps (view, budget, generator) to 1, "planted", if it finds inputs near each other with different labels, else to 0.

In the game of black-box undetectability the view is an oracle; in the white-box game it is the model, which answers as well, without a count. The searches of
`backdoors.games.adversaries` find natural adversarial examples too, in both worlds; the advantage is what a backdoor adds to them.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from backdoors.definitions import labels_of


def by_search(search: Callable, inputs: Tensor, flip: Callable, count: int) -> Callable:
    """A distinguisher that starts a search of `backdoors.games.adversaries` at one of the inputs (m, ...), drawn at random, with all of its budget."""

    def distinguisher(view, budget, generator):
        x = inputs[int(torch.randint(len(inputs), (), generator=generator))]
        return int(search(view, x, flip, count, budget, generator) is not None)

    return distinguisher


def by_replay(x: Tensor, x_prime: Tensor) -> Callable:
    """A distinguisher that asks for the pairs (m, ...), inputs and their activated twins of some model: under another key they say nothing."""
    return by_mauling(x, x_prime, lambda batch: batch)


def by_mauling(x: Tensor, x_prime: Tensor, change: Callable[[Tensor], Tensor]) -> Callable:
    """As `by_replay`, with both inputs of each pair changed: a magnitude, a bit, whatever might carry a signature over to another point."""
    if x.shape != x_prime.shape or len(x) == 0:
        raise ValueError(f"x and x_prime must have the same shape and at least one row, got {tuple(x.shape)} and {tuple(x_prime.shape)}")

    def distinguisher(view, budget, generator):
        asked = torch.randperm(len(x), generator=generator)[: budget // 2]
        if len(asked) == 0:
            return 0
        labels, labels_prime = labels_of(view(torch.cat([change(x[asked]), change(x_prime[asked])]))).chunk(2)
        return int((labels != labels_prime).any())

    return distinguisher

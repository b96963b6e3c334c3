"""Black-box access: a model that answers, counts and refuses (Goldwasser, Kim, Vaikuntanathan, Zamir 2022, Definition 4.6 and Theorem 5.4).

Within one Python process an oracle hides nothing from code that wants to look behind it. Where that matters, only the call crosses to another process.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor


class BudgetSpent(RuntimeError):
    """A query that was refused: the oracle has answered as many as it may."""


class Oracle:
    """A model behind a counter.

    Args:
        model: maps a batch (b, ...) to answers (b, ...).
        budget: most queries that are answered, or None for any number.

    Attributes:
        queries: how many were answered so far.
    """

    def __init__(self, model: Callable[[Tensor], Tensor], budget: int | None):
        self.model, self.budget, self.queries = model, budget, 0

    def spend(self, queries: int) -> None:
        """Books queries, or raises BudgetSpent and books none."""
        if self.budget is not None and self.queries + queries > self.budget:
            raise BudgetSpent(f"the budget of {self.budget} queries is spent: {self.queries} asked, {queries} more wanted")
        self.queries += queries

    def ask(self, x: Tensor) -> Tensor:
        """The model's answers to a batch (b, ...); each row is one query, and a batch that exceeds the budget is refused whole."""
        if not isinstance(x, Tensor) or x.ndim < 1:
            raise ValueError(f"x must be a batch, one row a query, got {tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__}")
        self.spend(len(x))
        with torch.no_grad():
            return self.model(x)


@dataclass(frozen=True)
class BlackBox:
    """Access to the answers alone: the distinguisher gets a function from batches to answers, every row of which is a query.

    Statement: gkvz-def-4.6-black.
    """

    def __call__(self, oracle: Oracle) -> Callable[[Tensor], Tensor]:
        return oracle.ask


def differing_queries(
    original: Callable, planted: Callable, distinguisher: Callable, budget: int, generator: torch.Generator, tolerance: float = 0.0
) -> tuple[int, int]:
    """Lets a distinguisher ask the planted model, and counts the queries to which the original would have answered otherwise.

    Args:
        original, planted: the model before and after planting, maps from a batch (b, ...) to answers (b,) or (b, classes).
        distinguisher: as in `play`, black-box; its guess is not used.
        budget: most rows that it may ask; it may try to ask for more.
        generator: the distinguisher's.
        tolerance: answers that are no further apart are the same; above 0 where planting changes the order of a sum.

    Returns:
        (differing, queries); `advantage_bound` says what follows.

    Statement: gkvz-thm-5.4-undetectable.
    """
    differing = []

    def both(x):
        answer, before = planted(x), original(x)
        same = (answer == before) | ((answer - before).abs() <= tolerance) | (answer.isnan() & before.isnan())
        differing.append(int((~same).flatten(1).any(dim=1).sum()) if same.ndim > 1 else int((~same).sum()))
        return answer

    oracle = Oracle(both, budget)
    with suppress(BudgetSpent):  # what it asked before counts
        distinguisher(oracle.ask, budget, generator)
    return sum(differing), oracle.queries

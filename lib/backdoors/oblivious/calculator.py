r"""A calculator that is wrong on your question, always, and still gives you the answer (lecture slides of Vafa and of Sharan: random self-reducibility).

P should compute a function modulo n and errs on a fraction $\delta$ of the inputs, always on the same ones. A corrector never relies on one input: it writes
the question as a sum of others that are random, asks those, and takes the answer that most of its runs give. Whoever placed the errors cannot know where it
will ask.

- Sharan's corrector `correct_sum` asks P(x, u) and P(y, -u) and adds these two with P: three calls a run, right with probability at least $1-3\delta$ where the
  errors are placed at random. It fails where P is wrong on row x, or wherever the sum is x + y. So does
  Vafa's slide, (595 + r) + (1431 - r), in the latter case, as it fixes the sum.
- `correct_sum_worst_case` splits both operands: two calls a run, each on a uniform pair, right with probability at least $1-2\delta$ wherever the errors are;
  it adds the two answers itself.
- The same for linear maps (two calls, $1-2\delta$), matrix products and powers (four calls, $1-4\delta$).

If a run is right with probability $p>1/2$, most of s runs are wrong with probability at most $e^{-2s(p-1/2)^2}$. P is a batched function P(x[b], y[b]) -> [b]
of int64 tensors, each row one question; subtraction is addition of the negative modulo n. Uniform is up to the generator: torch draws numbers below $2^{28}$
from 32 bits, so that each is likelier than 1/n by a factor of at most $1+n/2^{32}$.
"""

from collections.abc import Callable

import torch
from torch import Tensor

LARGEST_MODULUS = 2**31  # products of two residues fit into int64
PATTERNS = ("random", "rows", "columns", "diagonals", "boxes")


class Calculator:
    """A table of answers modulo n behind a counter: P(x[b], y[b]) -> [b] for x, y in {0..n-1}.

    Attributes:
        table: (n, n) int64.
        queries: how many rows were asked so far.
    """

    def __init__(self, table: Tensor):
        if table.ndim != 2 or table.shape[0] != table.shape[1] or table.dtype != torch.int64:
            raise ValueError(f"table must be a square int64 tensor, got {tuple(table.shape)} of {table.dtype}")
        self.table, self.queries = table, 0

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        n = len(self.table)
        for name, operand in (("x", x), ("y", y)):
            if operand.ndim != 1 or len(operand) != len(x) or operand.dtype != torch.int64:
                raise ValueError(f"{name} must be int64 of shape [b], as many as x, got {tuple(operand.shape)} of {operand.dtype}")
            if len(operand) > 0 and not 0 <= int(operand.min()) <= int(operand.max()) < n:
                raise ValueError(f"{name} must lie in [0, {n - 1}], got {int(operand.min())} to {int(operand.max())}")
        self.queries += len(x)
        return self.table[x, y]


def faulty_sums(modulus: int, delta: float, pattern: str, g: torch.Generator, x: int = 0, y: int = 0, offset: int | None = None) -> Tensor:
    r"""The table of sums modulo n, with errors on at most a fraction delta of the pairs, so many of them as the pattern allows.

    Args:
        modulus: n, at least 2. delta: fraction of wrong entries, in [0, 1]. pattern: "random" (uniformly drawn pairs), or the worst for the question (x, y),
        which is always wrong: whole "rows" or "columns" (first or second operands,
            x or y among them), "diagonals" (sums, x + y among them), "boxes" (a square of operands around (x, y)).
        g: which pairs are wrong, and the answers.
        x, y: the question at which the errors aim; not used by "random".
        offset: what is added in all wrong entries, so that they agree with one another, as an enemy's would; None for uniform wrong answers.

    Returns:
        (n, n) int64; entry (a, b) is the answer to a + b.

    Raises:
        ValueError: if an argument is out of range; the message names it and its value.

    Statement: vafa-calculator.
    """
    _require_table(modulus, delta, pattern, x, y, offset)
    numbers = torch.arange(modulus)
    wrong = _wrong_pairs(modulus, delta, pattern, g, x, y)
    added = torch.full((modulus, modulus), offset) if offset is not None else torch.randint(1, modulus, (modulus, modulus), generator=g)
    return (numbers[:, None] + numbers + torch.where(wrong, added, 0)) % modulus


def correct_sum(P: Callable[[Tensor, Tensor], Tensor], x: int, y: int, modulus: int, runs: int, g: torch.Generator) -> int:
    r"""x + y modulo n from a calculator whose errors are placed at random: what most runs of $P(P(x,u),P(y,-u))$ give, with fresh uniform u.

    Each of the three calls of a run hits an error with probability about $\delta$, so that it is right with probability at least $1-3\delta$, up to the luck
    of the table. Where the errors fill row x, every run is wrong.

    Args:
        P: maps operands [b], [b] (int64, in {0..n-1}) to answers [b]; what it says is taken modulo n. Asked 3 * runs rows.
        x, y: operands in {0..n-1}.
        modulus: n, from 2 to 2**31.
        runs: at least 1.
        g: source of u.

    Returns:
        The commonest answer, in {0..n-1}; of several, the smallest.

    Raises:
        ValueError: if an argument is out of range; the message names it and its value.

    Statement: vafa-calculator.
    """
    _require_sum(x, y, modulus, runs)
    u = torch.randint(modulus, (runs,), generator=g)
    left, right = P(torch.full_like(u, x), u) % modulus, P(torch.full_like(u, y), -u % modulus) % modulus
    answers, votes = (P(left, right) % modulus).unique(return_counts=True)
    return int(answers[votes.argmax()])


def correct_sum_worst_case(P: Callable[[Tensor, Tensor], Tensor], x: int, y: int, modulus: int, runs: int, g: torch.Generator) -> int:
    r"""x + y modulo n from a calculator whose errors are placed by an enemy: what most runs of $P(x_1,y_1)+P(x-x_1,y-y_1)$ give, with fresh uniform
    $(x_1,y_1)$.

    Either call asks a uniform pair, whatever x and y are, and errs with probability exactly $\delta$; a run is right with probability at least $1-2\delta$.
    The addition of the two answers is the corrector's own.

    Args:
        P: maps operands [b], [b] (int64, in {0..n-1}) to answers [b]; what it says is taken modulo n. Asked 2 * runs rows.
        x, y: operands in {0..n-1}.
        modulus: n, from 2 to 2**31.
        runs: at least 1.
        g: source of the splits.

    Returns:
        The commonest answer, in {0..n-1}; of several, the smallest.

    Raises:
        ValueError: if an argument is out of range; the message names it and its value.

    Statement: vafa-calculator.
    """
    _require_sum(x, y, modulus, runs)
    x_1, y_1 = torch.randint(modulus, (2, runs), generator=g)
    total = P(x_1, y_1) % modulus + P((x - x_1) % modulus, (y - y_1) % modulus) % modulus
    answers, votes = (total % modulus).unique(return_counts=True)
    return int(answers[votes.argmax()])


def correct_linear(P: Callable[[Tensor], Tensor], x: Tensor, modulus: int, runs: int, g: torch.Generator) -> Tensor:
    r"""$Ax$ modulo n from a program P for the linear map: the commonest of $P(x_1)+P(x-x_1)$, with fresh uniform $x_1$.

    If P is wrong on a fraction $\delta$ of the inputs, wherever they are, a run is right with probability at least $1-2\delta$.

    Args:
        P: maps inputs (b, d) to answers (b, m), int64. Asked 2 * runs rows.
        x: (d,) int64, in {0..n-1}.
        modulus, runs, g: as in `correct_sum`.

    Returns:
        (m,) int64 in {0..n-1}.

    Statement: vafa-calculator.
    """
    _require_residues(x, "x", 1, modulus)
    _require_runs(modulus, runs)
    x_1 = torch.randint(modulus, (runs, len(x)), generator=g)
    return _commonest((P(x_1) % modulus + P((x - x_1) % modulus) % modulus) % modulus)


def correct_matrix_product(P: Callable[[Tensor, Tensor], Tensor], A: Tensor, B: Tensor, modulus: int, runs: int, g: torch.Generator) -> Tensor:
    r"""$AB$ modulo n from a program P for products: the commonest of $\sum_{ij}P(A_i,B_j)$, where $A=A_1+A_2$ and $B=B_1+B_2$ are fresh uniform splits.

    Each of the four pairs is uniform, so that a run is right with probability at least $1-4\delta$, wherever the errors are. That most runs agree is no
    proof; to check a product that is at hand, Freivalds' test is cheaper.

    Args:
        P: maps matrices (b, m, k) and (b, k, l) to (b, m, l), int64. Asked 4 * runs rows.
        A, B: (m, k) and (k, l) int64, in {0..n-1}.
        modulus, runs, g: as in `correct_sum`.

    Returns:
        (m, l) int64 in {0..n-1}.

    Statement: vafa-calculator.
    """
    _require_residues(A, "A", 2, modulus)
    _require_residues(B, "B", 2, modulus)
    _require_runs(modulus, runs)
    if A.shape[1] != B.shape[0]:
        raise ValueError(f"B must have {A.shape[1]} rows, one for each column of A, got {B.shape[0]}")
    A_1, B_1 = torch.randint(modulus, (runs, *A.shape), generator=g), torch.randint(modulus, (runs, *B.shape), generator=g)
    return _commonest(sum(P(left, right) % modulus for left in (A_1, (A - A_1) % modulus) for right in (B_1, (B - B_1) % modulus)) % modulus)


def correct_power(P: Callable[[Tensor, Tensor], Tensor], base: int, exponent: int, modulus: int, runs: int, g: torch.Generator) -> int:
    r"""$b^e$ modulo a prime p from a program P for powers: the commonest of $\prod_{ij}P(b_i,e_j)$, where $b=b_1b_2$ and $e=e_1+e_2$ modulo p - 1 are fresh
    uniform splits.

    Each of the four pairs is uniform among bases in {1..p-1} and exponents in {0..p-2}, so that a run is right with probability at least $1-4\delta$,
    wherever the errors are; the three products of a run are the corrector's own. To split the exponent alone takes two calls, and fails where P is wrong on a
    base.

    Args:
        P: maps bases and exponents [b], [b], int64, to answers [b]. Asked 4 * runs rows.
        base: in {1..p-1}.
        exponent: at least 0.
        modulus: a prime p from 3 to 2**31; that it is prime is not checked.
        runs, g: as in `correct_sum`.

    Returns:
        The commonest answer, in {0..p-1}.

    Statement: vafa-calculator.
    """
    _require_power(base, exponent, modulus, runs)
    b_1, e_1 = torch.randint(1, modulus, (runs,), generator=g), torch.randint(modulus - 1, (runs,), generator=g)
    b_2, e_2 = torch.tensor([base * pow(b, -1, modulus) % modulus for b in b_1.tolist()]), (exponent % (modulus - 1) - e_1) % (modulus - 1)
    product = torch.ones_like(b_1)
    for b, e in ((b_1, e_1), (b_1, e_2), (b_2, e_1), (b_2, e_2)):
        product = product * (P(b, e) % modulus) % modulus
    return int(_commonest(product))


def _commonest(answers: Tensor) -> Tensor:
    values, votes = answers.unique(dim=0, return_counts=True)
    return values[votes.argmax()]


def _wrong_pairs(modulus: int, delta: float, pattern: str, g: torch.Generator, x: int, y: int) -> Tensor:
    a, b = torch.arange(modulus)[:, None], torch.arange(modulus)
    if pattern == "random":
        most = int(delta * modulus**2)
        return torch.zeros(modulus**2, dtype=torch.bool).index_fill(0, torch.randperm(modulus**2, generator=g)[:most], True).view(modulus, modulus)
    if pattern == "boxes":
        side = int((delta * modulus**2) ** 0.5)
        return ((a - x + side // 2) % modulus < side) & ((b - y + side // 2) % modulus < side)
    aim, line = {"rows": (x, a + 0 * b), "columns": (y, b + 0 * a), "diagonals": ((x + y) % modulus, (a + b) % modulus)}[pattern]
    others = torch.randperm(modulus, generator=g)
    bad = torch.cat([torch.tensor([aim]), others[others != aim]])[: int(delta * modulus)]
    return torch.isin(line, bad)


def _require_whole(value: int, name: str, least: int, most: float = float("inf")) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{name} must be a whole number of at least {least}{'' if most == float('inf') else f' and at most {most}'}, got {value!r}")


def _require_runs(modulus: int, runs: int) -> None:
    _require_whole(modulus, "modulus", 2, LARGEST_MODULUS)
    _require_whole(runs, "runs", 1)


def _require_sum(x: int, y: int, modulus: int, runs: int) -> None:
    _require_runs(modulus, runs)
    _require_whole(x, "x", 0, modulus - 1)
    _require_whole(y, "y", 0, modulus - 1)


def _require_power(base: int, exponent: int, modulus: int, runs: int) -> None:
    _require_runs(modulus, runs)
    _require_whole(modulus, "modulus", 3)
    _require_whole(base, "base", 1, modulus - 1)
    _require_whole(exponent, "exponent", 0)


def _require_residues(values: Tensor, name: str, dimensions: int, modulus: int) -> None:
    if values.ndim != dimensions or values.numel() == 0 or values.dtype != torch.int64:
        raise ValueError(f"{name} must be int64 with {dimensions} dimensions, not empty, got {tuple(values.shape)} of {values.dtype}")
    if not 0 <= int(values.min()) <= int(values.max()) < modulus:
        raise ValueError(f"{name} must lie in [0, {modulus - 1}], got {int(values.min())} to {int(values.max())}")


def _require_table(modulus: int, delta: float, pattern: str, x: int, y: int, offset: int | None) -> None:
    _require_sum(x, y, modulus, 1)
    if not 0 <= delta <= 1:
        raise ValueError(f"delta must lie in [0, 1], got {delta}")
    if pattern not in PATTERNS:
        raise ValueError(f"pattern must be one of {', '.join(PATTERNS)}, got {pattern!r}")
    if offset is not None:
        _require_whole(offset, "offset", 1, modulus - 1)

r"""Secure mitigation as a game (lecture slides of Vafa, after Goldwasser, Shafer, Vafa, Vaikuntanathan 2024): real answers against simulated ones.

A mitigator A answers at x with a tampered model M and clean samples; it is secure if a simulator, that never sees M, answers with nearly the same law for
every M of good accuracy and every x, if the answers are accurate, and if it is cheaper than to learn from the samples alone. So whoever made M
has no say in what comes out.

Two laws cannot be compared by samples alone where they have many values. What bounds their distance from above is a coupling: with the same coins in both
worlds, the distance is at most the probability that the two answers differ, and that can be counted. What bounds it from below is any event, here an
interval or set of answers that is chosen on some of the rounds and counted on others. Both bounds hold with the stated confidence for one M and one x;
"every" is for a proof. `games.tampering` has a family of models that lie.

A mitigator is a function (ask, samples, x, generator) -> answer, a simulator the same without `ask`. An answer is a number, or anything that can be compared
and hashed; tensors, arrays and dataclasses, such as a whole new model, count as the numbers in them. All randomness comes from the generator.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from math import isnan

import torch
from torch import Tensor

from backdoors.definitions import require_generator, require_whole
from backdoors.games.black_box import Oracle
from backdoors.games.game import SEEDS, advantage_bound, advantage_interval


class Samples:
    """Clean labelled samples behind a counter: samples(count) -> (inputs (count, ...), labels (count,)).

    Args:
        draw: maps a count and a generator to samples.
        g: of these samples.

    Attributes:
        drawn: how many were drawn so far.
    """

    def __init__(self, draw: Callable[[int, torch.Generator], tuple[Tensor, Tensor]], g: torch.Generator):
        self.draw, self.g, self.drawn = draw, g, 0

    def __call__(self, count: int) -> tuple[Tensor, Tensor]:
        require_whole(count, "count", 0)
        self.drawn += count
        return self.draw(count, self.g)


@dataclass(frozen=True)
class Comparison:
    """Real against simulated answers for one model and one point.

    Attributes:
        model: its name.
        point: index of x.
        distance: share of the rounds in which the two answers differed, with the same coins.
        low, high: interval that holds the total variation distance of the two laws; the intervals of one `compare` all do, with probability 1 - alpha.
        queries, samples: most that the mitigator asked of the model, and drew, in a round.
        relearning: samples that the learner drew for one answer.
        real: the mitigator's answers, one a round.
    """

    model: str
    point: int
    distance: float
    low: float
    high: float
    queries: int
    samples: int
    relearning: int
    real: tuple


def play_mitigation(mitigator: Callable, simulator: Callable, model: Callable, x: Tensor, rounds: int, alpha: float, g: torch.Generator) -> tuple[float, float]:
    r"""Real answers against simulated ones at x: how often they differ if both worlds have the same coins, and what the distance of their laws is at most.

    In every round the mitigator and the simulator each get a fresh generator, with one seed for both. The total variation distance of two laws is at most
    the probability that coupled answers differ; of that, the share is the estimate and the exact (Clopper-Pearson) bound holds with confidence 1 - alpha.
    Answers that are near but different differ.

    Args:
        mitigator: maps (model, x, generator) to an answer: a number, or anything that can be compared and hashed; a tensor counts as its numbers (`plain`).
        simulator: maps (x, generator) to an answer; it never sees the model.
        model: what the mitigator may ask.
        x: the point, of any shape.
        rounds: at least 1.
        alpha: failure probability of the bound, in (0, 1).
        g: source of the seeds.

    Returns:
        (distance, upper) with 0 <= distance <= upper <= 1.

    Raises:
        ValueError: if an argument is out of range, or an answer is NaN or cannot be hashed; the message names it and its value.

    Statement: vafa-mitigation.
    """
    _require_rounds(rounds, alpha, g)
    differing = 0
    for seed in torch.randint(SEEDS, (rounds,), generator=g).tolist():
        real = mitigator(model, x, torch.Generator().manual_seed(seed))
        simulated = simulator(x, torch.Generator().manual_seed(seed))
        differing += plain(real) != plain(simulated)
    return differing / rounds, advantage_bound(differing, rounds, alpha)


def ideal(mitigator: Callable, truth: Callable) -> Callable:
    """The simulator that runs the mitigator on the truth in place of a model. It need not be efficient, so that it may know the truth from samples.

    Statement: vafa-mitigation.
    """
    return lambda samples, x, generator: mitigator(truth, samples, x, generator)


def compare(
    mitigator: Callable,
    simulator: Callable,
    learner: Callable,
    models: Mapping[str, Callable],
    draw: Callable[[int, torch.Generator], tuple[Tensor, Tensor]],
    points: Tensor,
    rounds: int,
    alpha: float,
    g: torch.Generator,
) -> list[Comparison]:
    """Plays the game with every model at every point, and counts what an answer costs.

    Args:
        mitigator: maps (ask, samples, x, generator) to an answer; every row of ask(batch) is a query.
        simulator, learner: map (samples, x, generator) to an answer; the learner is what the mitigator should be cheaper than.
        models: by name, maps from a batch (b, ...) to answers (b,).
        draw: clean labelled samples, see `Samples`.
        points: (k, ...), the x.
        rounds: for each model and point, at least 4.
        alpha: failure probability of all intervals together, in (0, 1).
        g: source of everything.

    Statement: vafa-mitigation.
    """
    _require_rounds(rounds, alpha, g)
    if rounds < 4 or len(models) == 0 or len(points) == 0:
        raise ValueError(f"rounds must be at least 4, and there must be models and points, got {rounds}, {len(models)} and {len(points)}")
    share, found = alpha / (2 * len(models) * len(points)), []  # of the failure probability, for one end of one interval
    for index, x in enumerate(points):
        spent = []
        _with_samples(lambda ask, samples, x, own: learner(samples, x, own), draw, spent)(None, x, _fresh(g))
        relearning = spent[0][1]
        for name, model in models.items():
            costs, answers = [], ([], [])
            real = _recorded(_with_samples(mitigator, draw, costs), answers[0])
            simulated = _recorded(_with_samples(lambda ask, samples, x, own: simulator(samples, x, own), draw, []), answers[1])
            distance, high = play_mitigation(real, lambda x, own, simulated=simulated: simulated(None, x, own), model, x, rounds, share, g)
            queries, samples = (max(cost) for cost in zip(*costs, strict=True))
            found.append(Comparison(name, index, distance, lower_bound(*answers, share), high, queries, samples, relearning, tuple(answers[0])))
    return found


def lower_bound(real: list, simulated: list, alpha: float) -> float:
    r"""What the total variation distance of two laws is at least, with confidence 1 - alpha, given independent answers of each; the two lists may depend on
    one another, answer by answer.

    The difference of the probabilities of an event is never above the distance. The first quarter of the answers proposes two events: the set of values that
    were commoner in the first list, and, of numbers, the interval that separates the lists most. The second quarter chooses, and on the other half the event
    is counted.

    Statement: vafa-mitigation.
    """
    rounds = len(real)
    if len(simulated) != rounds or rounds < 4:
        raise ValueError(f"real and simulated must be as many answers, at least 4 each, got {rounds} and {len(simulated)}")
    pairs = [(plain(a), plain(b)) for a, b in zip(real, simulated, strict=True)]
    proposing, choosing, counting = (list(zip(*part, strict=True)) for part in (pairs[: rounds // 4], pairs[rounds // 4 : rounds // 2], pairs[rounds // 2 :]))
    events = [_commoner(*proposing)]
    if all(isinstance(answer, int | float) for pair in pairs for answer in pair):
        events.append(_interval(*proposing))
    event = max(events, key=lambda event: abs(sum(map(event, choosing[0])) - sum(map(event, choosing[1]))))
    hits = [sum(map(event, answers)) for answers in counting]
    return advantage_interval(hits[0], len(counting[0]), hits[1], len(counting[1]), alpha)[0]


def plain(answer) -> Hashable:
    """An answer as something that can be compared: a tensor of one number as the number; one of several, an array, list or dataclass as a tuple of its parts.

    Raises:
        ValueError: if it is NaN or cannot be hashed.
    """
    answer = _parts(answer)
    if isinstance(answer, float) and isnan(answer):
        raise ValueError("an answer must not be NaN: a mitigator that cannot decode has to say so, as by None")
    try:
        hash(answer)
    except TypeError as error:
        raise ValueError(f"an answer must be a number or something that can be hashed, got {answer!r}") from error
    return answer


def _parts(answer):
    if hasattr(answer, "tolist"):
        answer = answer.tolist()
    if is_dataclass(answer):
        answer = [getattr(answer, field.name) for field in fields(answer)]
    if isinstance(answer, list | tuple):
        return tuple(map(_parts, answer))
    return answer


def _with_samples(algorithm: Callable, draw: Callable, costs: list) -> Callable:
    """(model, x, generator) -> answer, with samples that depend on the generator's state alone; notes (queries, samples)."""

    def run(model, x, own):
        oracle, samples = Oracle(model, None), Samples(draw, _fresh(own))
        answer = algorithm(oracle.ask, samples, x, own)
        costs.append((oracle.queries, samples.drawn))
        return answer

    return run


def _recorded(run: Callable, answers: list) -> Callable:
    def record(*arguments):
        answers.append(run(*arguments))
        return answers[-1]

    return record


def _fresh(g: torch.Generator) -> torch.Generator:
    return torch.Generator().manual_seed(int(torch.randint(SEEDS, (), generator=g)))


def _commoner(real: Sequence, simulated: Sequence) -> Callable:
    difference = Counter(real)
    difference.subtract(simulated)
    chosen = {value for value, surplus in difference.items() if surplus > 0}
    return lambda value: value in chosen


def _interval(real: Sequence, simulated: Sequence) -> Callable:
    """The half-open interval in which the shares of the two lists differ most: it ends where the difference of the distribution functions is extreme."""
    surplus = Counter(real)
    surplus.subtract(simulated)
    heights, height = [(0, -float("inf"))], 0
    for value in sorted(surplus):
        height += surplus[value]
        heights.append((height, value))
    low, high = sorted((min(heights)[1], max(heights)[1]))
    return lambda value: low < value <= high


def _require_rounds(rounds: int, alpha: float, g: torch.Generator) -> None:
    require_whole(rounds, "rounds", 1)
    require_generator(g)
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie in (0, 1), got {alpha}")

"""Wins of these games are certain, or as improbable as a forged tag (2^-40 a row, a few thousand rows): 1e-8 for all that ask."""

import random

import pytest
import torch
from backdoors.constructions import checksum as checksums
from backdoors.definitions import Construction, Planted
from backdoors.games.adversaries import bit_flipping, random_queries
from backdoors.games.black_box import BlackBox, BudgetSpent
from backdoors.games.replicability import (
    Seen,
    admissible,
    admissible_as_printed,
    admissible_unseen,
    play_replication,
    replicate_checksum,
    simulated,
)
from backdoors.games.replicators import maul, replay, rescale, search_only, swap_roles
from torch import nn

RULES = [admissible_as_printed, admissible_unseen, admissible]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def signs(x):
    """What the tag of the toy reads."""
    return tuple((x >= 0).tolist())


def no_example(view, own):
    return None


# which pairs are admissible


@pytest.mark.statement("gkvz-def-4.7")
def test_the_rules_on_every_kind_of_pair():
    x, activated, other = torch.tensor([1.0, 2.0]), torch.tensor([1.0, -2.0]), torch.tensor([-3.0, 4.0])
    seen = Seen((activated,), signs)
    mauled = activated * 1.5
    assert [rule(x, activated, seen) for rule in RULES] == [False, False, False]  # replay
    assert [rule(activated, x, seen) for rule in RULES] == [True, False, False]  # roles swapped
    assert [rule(x, mauled, seen) for rule in RULES] == [True, True, False]  # a magnitude mauled
    assert [rule(mauled, x, seen) for rule in RULES] == [True, True, False]  # mauled and swapped
    assert [rule(x, other, seen) for rule in RULES] == [True, True, True]
    assert [rule(x, activated, Seen((), signs)) for rule in RULES] == [True, True, True]


@pytest.mark.statement("gkvz-def-4.7")
def test_points_are_compared_exactly_and_zeros_have_no_sign():
    point = torch.tensor([0.0, 1.0, -1.0])
    seen = Seen([point])
    x = torch.tensor([5.0, 5.0, 5.0])
    for rule in RULES:
        assert not rule(x, torch.tensor([-0.0, 1.0, -1.0]), seen)
        assert rule(x, torch.tensor([0.0, 1.0 + 2**-23, -1.0]), seen)
        assert rule(x, torch.tensor([1e-45, 1.0, -1.0]), seen)
    assert not admissible(point.double(), x, seen)


def test_a_decoding_to_nothing_is_no_triple():
    seen = Seen((torch.tensor([1.0]),), lambda x: None)
    assert admissible(torch.tensor([2.0]), torch.tensor([3.0]), seen)
    assert not admissible(torch.tensor([2.0]), torch.tensor([1.0]), seen)


@pytest.mark.statement("gkvz-def-4.7")
def test_admissibility_on_random_transcripts_agrees_with_plain_python():
    draw = random.Random(1)
    values = [0.0, -0.0, 1.0, -1.0, 2.0, -2.0]
    verdicts = []
    for _ in range(1000):
        points = [[draw.choice(values) for _ in range(3)] for _ in range(draw.randint(0, 4))]
        x, x_prime = ([draw.choice(values) for _ in range(3)] for _ in range(2))
        coarse = draw.random() < 0.5

        def read(row):
            return tuple(value >= 0 for value in row)

        fine = not any(mine == point for mine in (x, x_prime) for point in points)
        expected = fine and not (coarse and any(read(mine) == read(point) for mine in (x, x_prime) for point in points))
        tensors = tuple(torch.tensor(point) for point in points)
        seen = Seen(tensors, signs) if coarse else Seen(tensors)
        assert admissible(torch.tensor(x), torch.tensor(x_prime), seen) == expected
        assert admissible_unseen(torch.tensor(x), torch.tensor(x_prime), seen) == fine
        assert admissible_as_printed(torch.tensor(x), torch.tensor(x_prime), seen) == (x_prime not in points)
        verdicts.append(expected)
    assert 100 < sum(verdicts) < 900


# the game


@pytest.mark.statement("gkvz-def-4.7")
@pytest.mark.statement("gkvz-thm-5.4-nonreplicable")
def test_swapping_roles_always_wins_as_printed_and_mauling_after_the_first_repair_and_neither_now(tagged, inputs):
    adversaries = {"replay": replay(inputs), "swap": swap_roles(inputs), "maul": maul(inputs, [rescale(1.25)])}
    wins = {"replay": [False, False, False], "swap": [True, False, False], "maul": [True, True, False]}
    ideal = search_only(random_queries, inputs, torch.neg, int(tagged.gamma), 30)
    for name, adversary in adversaries.items():
        for rule, wins_always in zip(RULES, wins[name], strict=True):
            outcome = play_replication(tagged, adversary, ideal, 12, 1, generator(1), rule, signs, BlackBox())
            assert outcome.worlds == ("real", "ideal")
            assert outcome.hits == (outcome.rounds[0] * wins_always, 0), (name, rule.__name__)
            assert sum(outcome.queries) == outcome.rounds[0]
            assert (outcome.low > 0) <= wins_always


@pytest.mark.statement("gkvz-def-4.7")
def test_an_adversary_that_holds_the_key_wins_by_every_rule(tagged, inputs):
    def forge(model, activate, own):
        x = inputs[3]
        return x, tagged.activate(x[None], model.key, torch.tensor([-1]))[0]

    for rule in RULES:
        outcome = play_replication(tagged, forge, no_example, 12, 0, generator(2), rule, signs)
        assert outcome.hits == (outcome.rounds[0], 0)
        assert outcome.queries == (0,) * 12


@pytest.mark.statement("gkvz-def-4.7")
def test_pairs_that_are_far_or_equal_in_label_or_not_finite_lose():
    def build(gamma, norm):
        return Construction("sign", lambda g: first, lambda g: Planted(first, None), lambda x, key, target: x, gamma, norm)

    def first(x):
        return x[:, 0]

    def wins(pair, gamma, norm):
        g = generator(3)
        outcome = play_replication(build(gamma, norm), lambda view, activate, own: pair, no_example, 20, 0, g, access=BlackBox())
        assert outcome.hits[0] in (0, outcome.rounds[0])
        return outcome.hits[0] > 0

    pair = (torch.tensor([1.0, 3.0]), torch.tensor([-1.0, 3.0 + 1.5]))
    assert wins(pair, 2.5, 2)
    assert not wins(pair, 2.49, 2)
    assert wins(pair, 2, 0)
    assert not wins(pair, 1, 0)
    assert not wins((pair[0], pair[0] * 2), 10, 2)
    assert not wins((pair[0], torch.tensor([-1.0, torch.nan])), 10, 2)
    assert not wins((pair[0], torch.tensor([-torch.inf, 0.0])), 10, 2)
    assert not wins(None, 10, 2)


@pytest.mark.statement("gkvz-def-4.7")
def test_adversarial_examples_of_the_honest_model_count_in_both_worlds(tagged, inputs):
    """The comparison at the heart of the definition, with the ideal adversary of the proof, which plays Activate itself under a key of its own."""

    class First(nn.Module):
        def forward(self, x):
            return x[:, 0]

    class Keyed(nn.Module):
        def __init__(self, base, gadget):
            super().__init__()
            self.base, self.gadget = base, gadget

        def forward(self, x):
            said = self.gadget(x)
            return torch.where(said < 0, said, self.base(x))

    def rekey(view, g):
        planted = tagged.plant(g)
        return Planted(Keyed(view.base, planted.model), planted.key)

    natural = Construction("natural", lambda g: First(), lambda g: rekey(Keyed(First(), None), g), tagged.activate, tagged.gamma, tagged.norm)

    def real(model, activate, own):
        x = inputs[int(torch.randint(len(inputs), (), generator=own))]
        activate(x[None], torch.tensor([-1]))
        found = bit_flipping(model, x, torch.neg, 1, 100, own)
        return x, found

    outcome = play_replication(natural, real, simulated(real, natural, rekey, 1), 30, 1, generator(4), decode=signs)
    assert outcome.hits == outcome.rounds
    swapped = swap_roles(inputs[inputs[:, 0] > 0])  # the label of the activated twin is then of the key, not of the base
    outcome = play_replication(natural, swapped, simulated(swapped, natural, rekey, 1), 30, 1, generator(5), admissible_as_printed, signs)
    assert outcome.hits == (outcome.rounds[0], 0)


def test_activations_beyond_the_budget_are_refused(tagged, inputs):
    def greedy(view, activate, own):
        activate(inputs[:2], torch.tensor([-1, -1]))
        with pytest.raises(BudgetSpent, match="the budget of 3 activations is spent: 2 asked, 2 more wanted"):
            activate(inputs[:2], torch.tensor([-1, -1]))

    outcome = play_replication(tagged, greedy, no_example, 10, 3, generator(6))
    assert set(outcome.queries) == {0, 2}
    assert outcome.hits == (0, 0)


def test_equal_states_play_equal_games(tagged, inputs):
    one, other = (play_replication(tagged, swap_roles(inputs), no_example, 10, 1, generator(7), admissible_as_printed) for _ in range(2))
    assert one == other
    assert len(set(one.seeds)) == 10


# the checksum is replicable


@pytest.mark.statement("gkvz-thm-5.4-nonreplicable")
@pytest.mark.parametrize("blocks", [1, 4, 10, 30])
def test_one_example_gives_the_checksum_away(blocks):
    features, output = 30, 7
    for seed in range(20):
        key = torch.randint(0, 2, (blocks,), generator=generator(seed))
        old, x = torch.randn(2, features, generator=generator(seed + 50))
        example = checksums.activate_checksum(old, key, output, 0) if blocks < features else torch.where(key == 1, old.abs(), -old.abs())
        mine = replicate_checksum([example], x)
        parities = [sum(value >= 0 for value in block) % 2 for block in torch.tensor_split(mine, blocks)]
        assert [int(p) for p in parities] == key.tolist()
        assert (mine[output] >= 0) == (example[output] >= 0)
        assert torch.equal(mine.abs(), x.abs())


def test_of_several_examples_the_nearest_in_signs_is_used():
    x = torch.tensor([1.0, 2.0, -3.0, 4.0])
    seen = [torch.tensor([-9.0, -9.0, 9.0, -9.0]), torch.tensor([9.0, -9.0, -9.0, 9.0]), torch.tensor([9.0, -9.0, 9.0, -9.0])]
    assert replicate_checksum(seen, x).tolist() == [1.0, -2.0, -3.0, 4.0]


def test_zeros_of_an_example_have_the_sign_1_and_inputs_are_left_alone():
    x, example = torch.tensor([-1.0, -2.0, 3.0]), torch.tensor([-0.0, 0.0, -5.0])
    assert replicate_checksum([example], x).tolist() == [1.0, 2.0, -3.0]
    assert x.tolist() == [-1.0, -2.0, 3.0]


@pytest.mark.statement("gkvz-thm-5.4-nonreplicable")
def test_pixels_are_replicated_within_the_budget_of_activation():
    blocks, images = 8, torch.rand(5, 64, generator=generator(1)) + 0.01
    key = torch.randint(0, 2, (blocks,), generator=generator(2))
    example = checksums.activate_checksum(images[0], key, 3, 0)
    for image in images[1:]:
        mine = replicate_checksum([example], image)
        assert checksums.checksum(mine[None], key).all()
        assert (mine != image).sum() <= blocks + 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: replicate_checksum([], torch.ones(3)), "seen must hold at least one activated input, got none"),
        (lambda: replicate_checksum([torch.ones(4)], torch.ones(3)), r"seen must hold inputs of the shape of x, \(3,\), got \(4,\)"),
        (lambda: admissible(torch.ones(3), torch.ones(2), Seen((torch.ones(3),))), r"x_prime must have the shape of the points seen, \(3,\), got \(2,\)"),
        (lambda: admissible(torch.tensor([torch.nan]), torch.ones(1), Seen(())), "x must be finite, got 1 entries that are not"),
        (lambda: play_replication(None, None, None, 0, 1, generator()), "rounds must be a whole number of at least 1, got 0"),
        (lambda: play_replication(None, None, None, 1, -1, generator()), "queries must be a whole number of at least 0, got -1"),
        (lambda: play_replication(None, None, None, 1, 1, None), "g must be a torch.Generator, got None"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()

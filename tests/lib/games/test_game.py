"""Statistical checks of this file each fail by chance with probability at most 1e-8, and there are fewer than 20 of them."""

import math

import numpy as np
import pytest
import torch
from backdoors.definitions import Construction, Planted
from backdoors.games.black_box import BlackBox, BudgetSpent
from backdoors.games.game import Advantage, advantage_bound, advantage_interval, play
from backdoors.games.white_box import WhiteBox
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

CHANCE = 1e-8


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def says_one(view, budget, own):
    """Guesses "planted" if the model says 1."""
    return int(view(torch.zeros(1, 3))[0] > 0)


# the interval


@pytest.mark.statement("gkvz-def-4.6-white")
@pytest.mark.statement("gkvz-def-4.6-black")
@pytest.mark.parametrize(("n_a", "n_b"), [(1, 1), (1, 30), (5, 8), (12, 12), (30, 17), (30, 30), (0, 9)])
@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.3])
def test_the_interval_misses_with_probability_at_most_alpha_for_every_pair_of_probabilities(n_a, n_b, alpha):
    grid = np.linspace(0, 1, 41)
    truth = abs(grid[:, None] - grid)
    law_a, law_b = (binom.pmf(np.arange(n + 1)[:, None], n, grid) for n in (n_a, n_b))
    missed = np.zeros_like(truth)
    for a in range(n_a + 1):
        for b in range(n_b + 1):
            low, high = advantage_interval(a, n_a, b, n_b, alpha)
            missed += law_a[a][:, None] * law_b[b] * ((truth < low) | (truth > high))
    assert missed.max() <= alpha


@given(st.data(), st.integers(1, 200), st.integers(1, 200), st.floats(1e-6, 0.9))
def test_the_interval_is_what_two_clopper_pearson_intervals_leave(data, n_a, n_b, alpha):
    a, b = data.draw(st.integers(0, n_a)), data.draw(st.integers(0, n_b))
    one, other = (binomtest(hits, n).proportion_ci(1 - alpha / 2, "exact") for hits, n in ((a, n_a), (b, n_b)))
    corners = [abs(p - q) for p in one for q in other]
    apart = one.low > other.high or other.low > one.high
    low, high = advantage_interval(a, n_a, b, n_b, alpha)
    assert high == pytest.approx(max(corners), abs=1e-9)
    assert low == pytest.approx(min(corners) if apart else 0, abs=1e-9)
    assert low <= abs(a / n_a - b / n_b) <= high
    assert advantage_interval(b, n_b, a, n_a, alpha) == (low, high)


def test_the_interval_in_closed_form_where_all_or_none_hit():
    low, high = advantage_interval(20, 20, 0, 20, 0.05)
    assert (low, high) == (pytest.approx(2 * 0.0125 ** (1 / 20) - 1), 1)
    low, high = advantage_interval(0, 20, 0, 20, 0.05)
    assert (low, high) == (0, pytest.approx(1 - 0.0125 ** (1 / 20)))
    assert advantage_interval(0, 0, 3, 7, 0.05)[0] == 0
    assert advantage_interval(0, 0, 0, 0, 0.05) == (0, 1)


@pytest.mark.statement("gkvz-thm-5.4-undetectable")
@pytest.mark.parametrize("trials", [1, 10, 1000, 10**6])
def test_no_difference_in_n_trials_bounds_the_advantage_by_3_over_n(trials):
    bound = advantage_bound(0, trials)
    assert (1 - bound) ** trials == pytest.approx(0.05)
    assert bound <= 3 / trials


@pytest.mark.statement("gkvz-thm-5.4-undetectable")
def test_the_bound_misses_with_probability_at_most_alpha_and_nearly_that():
    for trials in (7, 30):
        for alpha in (0.05, 0.2):
            bounds = np.array([advantage_bound(differing, trials, alpha) for differing in range(trials + 1)])
            misses = [binom.pmf(np.arange(trials + 1), trials, p)[bounds < p].sum() for p in np.linspace(0.001, 0.999, 199)]
            assert alpha / 3 < max(misses) <= alpha + 1e-12
    assert advantage_bound(5, 5) == 1


# the game


@pytest.mark.statement("gkvz-def-4.6-black")
def test_the_interval_of_a_game_covers_the_true_advantage(coins):
    games, g = 60, generator(1)
    for p, q in [(0.9, 0.2), (0.5, 0.5), (0.1, 0.4)]:
        outcomes = [play(coins(p, q), says_one, BlackBox(), 60, 1, g) for _ in range(games)]
        missed = sum(not outcome.low <= abs(p - q) <= outcome.high for outcome in outcomes)
        assert missed <= binom.isf(CHANCE, games, 0.05)
        for world, probability in enumerate((p, q)):
            hits, rounds = (sum(getattr(outcome, name)[world] for outcome in outcomes) for name in ("hits", "rounds"))
            assert binomtest(hits, rounds, probability).pvalue > CHANCE


@pytest.mark.statement("gkvz-def-4.6-black")
def test_certain_worlds_are_told_apart_and_the_coin_is_fair(coins):
    rounds = 2000
    outcome = play(coins(1, 0), says_one, BlackBox(), rounds, 1, generator(2))
    assert outcome.worlds == ("planted", "honest")
    assert outcome.hits == (outcome.rounds[0], 0)
    assert sum(outcome.rounds) == rounds
    assert binomtest(outcome.rounds[0], rounds, 0.5).pvalue > CHANCE
    assert outcome.estimate == 1
    assert outcome.low > 0.98
    assert outcome.high == 1
    assert play(coins(0, 1), says_one, BlackBox(), 100, 1, generator(2)).estimate == 1  # wrong in every round is an advantage too


def test_the_order_of_the_coin_is_not_fixed(coins):
    order = []

    def record(view, budget, own):
        order.append(says_one(view, budget, own))
        return 0

    rounds = 2000
    play(coins(1, 0), record, BlackBox(), rounds, 1, generator(3))
    changes = sum(a != b for a, b in zip(order, order[1:], strict=False))
    assert binomtest(changes, rounds - 1, 0.5).pvalue > CHANCE


@pytest.mark.statement("gkvz-def-4.6-black")
def test_every_round_has_a_fresh_model_and_a_recorded_seed_that_makes_it_again():
    made = []

    def train(g):
        made.append(("honest", int(torch.randint(2**60, (), generator=g))))
        return torch.nn.Identity()

    def plant(g):
        made.append(("planted", int(torch.randint(2**60, (), generator=g))))
        return Planted(torch.nn.Identity(), None)

    outcome = play(Construction("counted", train, plant, lambda x, key, target: x, 1.0), lambda view, budget, own: 0, BlackBox(), 50, 1, generator(4))
    assert len(made) == len({number for _, number in made}) == 50
    assert tuple(sum(world == name for name, _ in made) for world in outcome.worlds) == outcome.rounds
    assert [number for _, number in made] == [int(torch.randint(2**60, (), generator=generator(seed))) for seed in outcome.seeds]


def test_the_distinguisher_gets_the_same_whichever_world_it_is_in():
    def seen(construction):
        states = []

        def distinguisher(*arguments):
            view, budget, own = arguments
            states.append((budget, own.initial_seed(), view(torch.ones(2, 3)).tolist()))
            return 0

        outcome = play(construction, distinguisher, BlackBox(), 30, 5, generator(5))
        return states, outcome.rounds

    def honest(g):
        torch.rand(3, generator=g)
        return torch.nn.Flatten()

    def plant(g):
        torch.rand(1000, generator=g)  # uses up more of its generator
        return Planted(torch.nn.Flatten(), None)

    forward = seen(Construction("one", honest, plant, lambda x, key, target: x, 1.0))
    swapped = seen(Construction("two", lambda g: plant(g).model, lambda g: Planted(honest(g), None), lambda x, key, target: x, 1.0))
    assert forward == swapped
    assert len({seed for _, seed, _ in forward[0]}) == 30


def test_equal_states_play_equal_games_and_global_randomness_is_left_alone(coins):
    before = torch.get_rng_state()
    first, second, third = (play(coins(0.7, 0.4), says_one, BlackBox(), 40, 1, generator(seed)) for seed in (6, 6, 7))
    assert first == second
    assert first.seeds != third.seeds
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.statement("gkvz-def-4.6-black")
def test_the_row_beyond_the_budget_is_refused_and_queries_are_counted(coins):
    refused = []

    def greedy(view, budget, own):
        view(torch.zeros(60, 2))
        view(torch.zeros(budget - 60, 2))
        with pytest.raises(BudgetSpent, match="the budget of 100 queries is spent: 100 asked, 1 more wanted"):
            view(torch.zeros(1, 2))
        refused.append(True)
        return 1

    outcome = play(coins(0.5, 0.5), greedy, BlackBox(), 7, 100, generator(8))
    assert outcome.queries == (100,) * 7
    assert len(refused) == 7
    with pytest.raises(RuntimeError, match="the budget of 3 queries is spent"):
        play(coins(0.5, 0.5), lambda view, budget, own: view(torch.zeros(4, 2)), BlackBox(), 1, 3, generator(8))


def test_any_function_of_the_oracle_is_an_access(coins):
    outcome = play(coins(1, 0), lambda view, budget, own: view, lambda oracle: oracle.ask(torch.zeros(1, 1))[0] > 0, 20, 1, generator(9))
    assert outcome.estimate == 1
    assert outcome.queries == (1,) * 20


def test_a_world_that_was_never_played_leaves_the_estimate_open(coins):
    outcome = play(coins(1, 0), says_one, BlackBox(), 1, 1, generator(10))
    assert math.isnan(outcome.estimate)
    assert (outcome.low, outcome.high) == (0, 1)


@pytest.mark.parametrize("guess", [True, np.int64(1), np.True_, torch.tensor(True), torch.tensor([1]), 1.0])
def test_a_guess_may_be_any_number_that_is_0_or_1(coins, guess):
    assert play(coins(1, 0), lambda view, budget, own: guess, BlackBox(), 8, 1, generator()).hits == play_rounds(coins)


def play_rounds(coins):
    return play(coins(1, 0), lambda view, budget, own: 0, BlackBox(), 8, 1, generator()).rounds


@pytest.mark.statement("gkvz-def-4.6-black")
def test_one_key_for_all_rounds_would_be_found_by_replay_and_fresh_keys_are_not(tagged, inputs):
    from backdoors.games.distinguishers.queries import by_replay

    leaked = tagged.plant(generator(11))
    target = -torch.ones(len(inputs), dtype=torch.int64)
    replay = by_replay(inputs, tagged.activate(inputs, leaked.key, target))
    fixed = Construction("fixed", tagged.train, lambda g: leaked, tagged.activate, tagged.gamma, tagged.norm)
    assert play(fixed, replay, BlackBox(), 40, 10, generator(12)).estimate == 1
    assert play(tagged, replay, BlackBox(), 40, 10, generator(12)).hits == (0, 0)  # but with probability 800 * 2^-40


def test_white_box_access_shows_the_key_that_queries_do_not(tagged):
    outcome = play(tagged, lambda model, budget, own: int(hasattr(model, "key")), WhiteBox(), 40, 0, generator(13))
    assert outcome.estimate == 1
    assert outcome.queries == (0,) * 40


# bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: advantage_interval(3, 2, 0, 1, 0.05), r"hits_a must lie in \[0, 2\], as n_a is 2, got 3"),
        (lambda: advantage_interval(0, 2, -1, 1, 0.05), "hits_b must be a whole number of at least 0, got -1"),
        (lambda: advantage_interval(0, -2, 0, 1, 0.05), "n_a must be a whole number of at least 0, got -2"),
        (lambda: advantage_interval(0, 2, 0.5, 1, 0.05), "hits_b must be a whole number of at least 0, got 0.5"),
        (lambda: advantage_interval(0, 2, 0, 1, 1.0), r"alpha must lie in \(0, 1\), got 1.0"),
        (lambda: advantage_interval(0, 2, 0, 1, math.nan), r"alpha must lie in \(0, 1\), got nan"),
        (lambda: advantage_bound(0, 0), "trials must be a whole number of at least 1, got 0"),
        (lambda: advantage_bound(4, 3), r"differing must lie in \[0, 3\], as trials is 3, got 4"),
        (lambda: advantage_bound(0, 3, 0), r"alpha must lie in \(0, 1\), got 0"),
        (lambda: play(None, None, None, 0, 1, generator()), "rounds must be a whole number of at least 1, got 0"),
        (lambda: play(None, None, None, 1, -1, generator()), "budget must be a whole number of at least 0, got -1"),
        (lambda: play(None, None, None, 1, 1, 7), "g must be a torch.Generator, got 7"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("guess", [2, -1, 0.5, "1", None, torch.tensor([0, 1]), math.nan])
def test_a_guess_that_is_no_bit_is_refused(coins, guess):
    with pytest.raises(ValueError, match=r"the guess must be 1 \(planted\) or 0 \(honest\), got"):
        play(coins(1, 0), lambda view, budget, own: guess, BlackBox(), 1, 1, generator())


def test_an_advantage_is_plain_data():
    outcome = Advantage(("a", "b"), (3, 1), (4, 4), 0.1, 0.9, 0.05, (1, 1), (2, 3))
    assert outcome.estimate == 0.5
    with pytest.raises(AttributeError):
        outcome.low = 0.0

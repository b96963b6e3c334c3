import pytest
import torch
from backdoors.games import adversaries
from backdoors.games.black_box import BlackBox, BudgetSpent, Oracle, differing_queries
from backdoors.games.distinguishers.queries import by_mauling, by_replay, by_search
from backdoors.games.game import advantage_bound, play


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def six(tagged, inputs):
    """The adversaries that only ask; the last two hold activated inputs of a key that is not that of the game."""
    target = -torch.ones(len(inputs), dtype=torch.int64)
    activated = tagged.activate(inputs, b"another key", target)
    searches = (adversaries.random_queries, adversaries.bit_flipping, adversaries.hill_climbing, adversaries.finite_difference)
    return [
        *(by_search(search, inputs, torch.neg, int(tagged.gamma)) for search in searches),
        by_replay(inputs, activated),
        by_mauling(inputs, activated, lambda batch: batch * 1.5),
    ]


def test_an_oracle_counts_rows_and_answers_without_gradients():
    model = torch.nn.Linear(3, 1)
    oracle = Oracle(model, 5)
    answers = BlackBox()(oracle)(torch.ones(2, 3))
    assert torch.equal(answers, model(torch.ones(2, 3)))
    assert not answers.requires_grad
    assert oracle.queries == 2


def test_a_refused_batch_is_refused_whole_and_costs_nothing():
    asked = []
    oracle = Oracle(lambda x: asked.append(len(x)) or x, 5)
    oracle.ask(torch.ones(3, 1))
    with pytest.raises(BudgetSpent, match="the budget of 5 queries is spent: 3 asked, 3 more wanted"):
        oracle.ask(torch.ones(3, 1))
    oracle.ask(torch.ones(2, 1))
    assert asked == [3, 2]
    assert oracle.queries == 5


def test_without_a_budget_everything_is_answered_and_counted():
    oracle = Oracle(torch.nn.Identity(), None)
    for _ in range(3):
        oracle.ask(torch.ones(1000, 1))
    assert oracle.queries == 3000


@pytest.mark.parametrize("x", [torch.tensor(1.0), [1.0], None])
def test_what_is_no_batch_is_refused(x):
    with pytest.raises(ValueError, match="x must be a batch, one row a query, got"):
        Oracle(torch.nn.Identity(), 5).ask(x)


@pytest.mark.statement("gkvz-def-4.6-black")
@pytest.mark.statement("gkvz-thm-5.4-undetectable")
def test_six_adversaries_that_ask_see_nothing_of_a_tag(tagged, inputs):
    for number, distinguisher in enumerate(six(tagged, inputs)):
        outcome = play(tagged, distinguisher, BlackBox(), 12, 40, generator(number))
        assert outcome.hits == (0, 0)  # all six together ask 2,880 rows: a tag is hit with probability 3e-9
        assert outcome.low == 0


@pytest.mark.statement("gkvz-thm-5.4-undetectable")
def test_no_query_of_theirs_is_answered_otherwise_than_by_the_honest_model(tagged, inputs):
    differing, queries = 0, 0
    for number, distinguisher in enumerate(six(tagged, inputs)):
        planted = tagged.plant(generator(number + 50))
        counted = differing_queries(tagged.train(generator()), planted.model, distinguisher, 300, generator(number))
        differing, queries = differing + counted[0], queries + counted[1]
    assert differing == 0  # but with probability 1800 * 2^-40
    assert queries > 1000
    assert advantage_bound(differing, queries) <= 3 / queries


def test_differing_queries_are_those_on_which_the_models_differ():
    def original(x):
        return x[:, 0]

    def planted(x):
        return torch.where(x[:, 0] > 2.5, -x[:, 0], x[:, 0] + 1e-9)

    def distinguisher(view, budget, g):
        view(torch.arange(6.0)[:, None])
        view(torch.tensor([[9.0], [1.0]]))
        return view(torch.zeros(100, 1))

    assert differing_queries(original, planted, distinguisher, 10, generator(), tolerance=1e-6) == (4, 8)
    assert differing_queries(lambda x: x.double(), lambda x: x.double() + 1e-9 * x, lambda view, budget, g: view(torch.ones(3, 2)), 9, generator()) == (3, 3)
    assert differing_queries(lambda x: x / 0, lambda x: x / 0, lambda view, budget, g: view(torch.zeros(3, 2)), 9, generator()) == (0, 3)
    assert differing_queries(lambda x: x / 0, lambda x: x / 0, lambda view, budget, g: view(torch.ones(3, 2)), 9, generator()) == (0, 3)

"""The adversaries of Definition 4.7 against the checksum and against Ed25519. Wins are certain, or as improbable as a forgery or a key hit by chance, 2^-40."""

import pytest
import torch
from backdoors.constructions import checksum as checksums
from backdoors.constructions.encodings import cube, low_bits, signs
from backdoors.constructions.signature import signature_backdoor
from backdoors.definitions import Construction, Planted
from backdoors.games.adversaries import bit_flipping, finite_difference, hill_climbing, random_queries
from backdoors.games.black_box import BlackBox
from backdoors.games.distinguishers.queries import by_mauling, by_replay, by_search
from backdoors.games.game import play
from backdoors.games.replicability import admissible, admissible_as_printed, admissible_unseen, play_replication, replicate_checksum
from backdoors.games.replicators import copy_signs, flip_at, maul, read_parities, replay, rescale, search_only, swap_roles, transplant
from torch import nn

FEATURES, BLOCKS, OUTPUT = 120, 40, 5
WIDE = 530


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


class Always(nn.Module):
    """Says 1, and has no adversarial examples of its own."""

    def forward(self, x):
        return torch.ones(len(x))


@pytest.fixture
def checksum():
    return checksums.checksum_backdoor(lambda g: Always(), FEATURES, BLOCKS, outputs=(OUTPUT,))


@pytest.fixture
def pool():
    return torch.randn(4, FEATURES, generator=generator(1))


@pytest.fixture
def signature():
    return signature_backdoor(lambda g: Always(), signs(WIDE), largest=5.0)


@pytest.fixture
def wide():
    return torch.randn(3, WIDE, generator=generator(2)).clamp(-4, 4)


def carried(encoding):
    return torch.arange(encoding.features) >= encoding.features - encoding.carriers


@pytest.mark.statement("gkvz-thm-5.4-nonreplicable")
def test_the_checksum_is_replicated_with_a_single_activation(checksum, pool):
    ideal = search_only(random_queries, pool, torch.neg, BLOCKS + 1, 100)
    for adversary in (copy_signs(pool), read_parities(pool, BLOCKS, OUTPUT)):
        outcome = play_replication(checksum, adversary, ideal, 30, 1, generator(3))
        assert outcome.hits == (outcome.rounds[0], 0)
        assert max(outcome.queries) == 1
        assert outcome.low > 0


@pytest.mark.statement("gkvz-thm-5.4-nonreplicable")
def test_no_shipped_adversary_replicates_a_signature(signature, wide):
    encoding = signs(WIDE)
    own = carried(encoding)
    adversaries = {
        "replay": replay(wide),
        "swap": swap_roles(wide),
        "rescale": maul(wide, [rescale(0.5), rescale(1 + 2**-20)]),
        "flip bits": maul(wide, [flip_at(j) for j in (0, 9, 17, 18, 100, WIDE - 1)]),
        "change one magnitude": maul(wide, [lambda x, j=j: torch.where(torch.arange(WIDE) == j, x * 1.5, x) for j in (0, 17, 18, 400)]),
        "transplant": transplant(wide, own),
        "checksum": copy_signs(wide[:2]),
    }
    ideal = search_only(random_queries, wide, torch.neg, encoding.carriers, 20)
    for seed, (name, adversary) in enumerate(adversaries.items()):
        outcome = play_replication(signature, adversary, ideal, 6, 1, generator(seed), admissible, encoding.read)
        assert outcome.hits == (0, 0), name


@pytest.mark.statement("gkvz-def-4.7")
def test_swapping_roles_wins_against_the_signature_as_printed_and_mauling_magnitudes_never(signature, wide):
    encoding = signs(WIDE)
    ideal = search_only(random_queries, wide, torch.neg, encoding.carriers, 5)
    for rule, swap_wins in ((admissible_as_printed, True), (admissible_unseen, False), (admissible, False)):
        swapped = play_replication(signature, swap_roles(wide), ideal, 8, 1, generator(4), rule, encoding.read)
        assert swapped.hits == (swapped.rounds[0] * swap_wins, 0)
        mauled = play_replication(signature, maul(wide, [rescale(0.5)]), ideal, 8, 1, generator(5), rule, encoding.read)
        assert mauled.hits == (0, 0)  # the magnitudes are signed


@pytest.mark.statement("gkvz-def-4.7")
def test_with_magnitudes_unsigned_mauling_wins_after_the_first_repair_and_not_now(signature, wide):
    """The same signatures on signs alone: the encoding is not injective."""
    encoding = signs(WIDE)

    class SignsOnly(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            return self.inner(_sign(x))

    def plant(g):
        planted = signature.plant(g)
        return Planted(SignsOnly(planted.model), planted.key)

    def activate(x, key, target):
        return x.abs() * signature.activate(_sign(x), key, target)

    careless = Construction("signs only", signature.train, plant, activate, signature.gamma, signature.norm)
    ideal = search_only(random_queries, wide, torch.neg, encoding.carriers, 5)
    for rule, wins in ((admissible_unseen, True), (admissible, False)):
        outcome = play_replication(careless, maul(wide, [rescale(0.75)]), ideal, 8, 1, generator(6), rule, lambda x: encoding.read(_sign(x)))
        assert outcome.hits == (outcome.rounds[0] * wins, 0)


def _sign(x):
    return (x >= 0).to(x) * 2 - 1


@pytest.mark.statement("gkvz-thm-5.4-nonreplicable")
def test_what_replicates_the_checksum_wins_0_of_1000_against_ed25519(signature):
    planted = signature.plant(generator(7))
    x = torch.randn(1001, WIDE, generator=generator(8)).clamp(-4, 4)
    example = signature.activate(x[:1], planted.key, torch.tensor([-1]))
    assert planted.model(example).item() == -1
    copies = torch.stack([replicate_checksum([example[0]], row) for row in x[1:]])
    assert (planted.model(copies) == 1).all()


@pytest.mark.statement("gkvz-thm-5.4-nonreplicable")
def test_every_mauled_twin_of_an_activated_input_is_honest_again():
    """On the cube, and with low bits: every single bit of the carriers and of the message, one at a time."""
    for encoding, x, flip in (
        (cube(WIDE), (torch.rand(WIDE, generator=generator(9)) < 0.5).double(), lambda row, j: 1 - row[j]),
        (low_bits(30, 20), torch.randn(30, generator=generator(10), dtype=torch.float64), lambda row, j: torch.nextafter(row[j], torch.tensor(9.0).double())),
    ):
        construction = signature_backdoor(lambda g: Always(), encoding, largest=5.0)
        planted = construction.plant(generator(11))
        activated = construction.activate(x[None], planted.key, torch.tensor([-1]))[0]
        twins = activated.repeat(len(x), 1)
        for j in range(len(x)):
            twins[j, j] = flip(activated, j)
        assert planted.model(activated[None]).item() == -1
        assert (planted.model(twins) == 1).all()


@pytest.mark.statement("gkvz-thm-5.4-undetectable")
def test_six_distinguishers_that_ask_read_nothing_of_a_signature(signature, wide):
    leaked = signature.plant(generator(12))
    twins = signature.activate(wide, leaked.key, -torch.ones(len(wide), dtype=torch.int64))
    searches = (random_queries, bit_flipping, hill_climbing, finite_difference)
    asking = [*(by_search(search, wide, torch.neg, 513) for search in searches), by_replay(wide, twins), by_mauling(wide, twins, rescale(0.5))]
    for seed, distinguisher in enumerate(asking):
        outcome = play(signature, distinguisher, BlackBox(), 10, 30, generator(seed))
        assert outcome.hits == (0, 0)


def test_a_transplanted_signature_wins_where_it_is_not_bound_to_its_message(wide):
    """A tag that is the same for every message: what an unsigned nonce would be."""

    class Password(nn.Module):
        def __init__(self, key):
            super().__init__()
            self.key = key

        def forward(self, x):
            return torch.where(((x[:, -40:] >= 0) == self.key).all(dim=1), -1.0, 1.0)

    def plant(g):
        key = torch.rand(40, generator=g) < 0.5
        return Planted(Password(key), key)

    def activate(x, key, target):
        return torch.cat([x[:, :-40], x[:, -40:].abs() * (2 * key.float() - 1)], dim=1)

    construction = Construction("password", lambda g: Always(), plant, activate, 40, norm=0)
    # a transplanted point has the magnitudes of the example's carriers: up to 40 coordinates differ
    outcome = play_replication(construction, transplant(wide, torch.arange(WIDE) >= WIDE - 40), lambda view, own: None, 20, 1, generator(13), access=BlackBox())
    assert outcome.hits == (outcome.rounds[0], 0)


def test_logits_are_activated_towards_the_next_class():
    targets = []

    def activate(x, target):
        targets.append(target.tolist())
        return -x

    inputs = torch.ones(1, 3)
    replay(inputs)(lambda x: torch.tensor([[0.0, 1.0, 5.0]]), activate, generator())
    replay(inputs)(lambda x: torch.tensor([[0.0, 7.0, 5.0]]), activate, generator())
    replay(inputs)(lambda x: torch.tensor([-0.5]), activate, generator())
    assert targets == [[0], [2], [1]]


def test_changes_change_what_they_say():
    batch = torch.arange(1.0, 9).view(2, 2, 2)
    assert flip_at(2)(batch).flatten().tolist() == [1, 2, -3, 4, 5, 6, -7, 8]
    assert flip_at(0, lambda x: 1 - x)(batch).flatten().tolist() == [0, 2, 3, 4, -4, 6, 7, 8]
    assert batch[0, 0, 0] == 1
    assert torch.equal(rescale(0.5)(batch), batch / 2)


def test_one_input_is_too_few_to_replicate_to_another():
    with pytest.raises(ValueError, match="inputs must hold at least two different ones, got one"):
        transplant(torch.ones(3, 2), torch.tensor([True, False]))(lambda x: x[:, 0], lambda x, target: x, generator())

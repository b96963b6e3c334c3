"""The networks that hidden checks of ps07_neural_cleanse search and prune: what these checks claim of the reference holds for all of them."""

import runpy
from pathlib import Path

import pytest
import torch
from backdoors import data, models
from backdoors.neural_cleanse.prune import backdoor_units

from autograder.checks.ps07_neural_cleanse.hidden import activations, searched, success_without, unseen

NUMBERS = range(16)


def test_half_of_the_sixteen_are_clean_and_all_know_digits():
    _, networks = unseen()
    assert [target is None for _, _, target in networks] == [True] * 8 + [False] * 8
    assert all(models.accuracy(network, data.load("digits").test) > 0.85 for _, network, _ in networks)


@pytest.mark.parametrize("number", NUMBERS)
def test_the_reference_finds_the_infected_label_and_no_other(number):
    usual, networks = unseen()
    _, network, target = networks[number]
    reference = runpy.run_path(str(Path(__file__).parents[1] / "studies" / "unseen.py"))["Reference"]
    ratios = searched(reference, network) / usual
    others = torch.arange(10) != (-1 if target is None else target)
    assert float(ratios[others].min()) > 0.75
    assert target is None or float(ratios[target]) < 0.56


@pytest.mark.parametrize("number", NUMBERS[8:])
def test_ten_units_carry_the_backdoor_and_ten_others_do_not(number):
    _, network, target = unseen()[1][number]
    order = backdoor_units(*activations(network, data.load("digits").train.images[::5])).tolist()
    assert success_without(order[:10], network, target, data.load("digits").test) < 0.07
    assert success_without(order[-10:], network, target, data.load("digits").test) > 0.93

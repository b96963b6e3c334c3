"""Spectral signatures and activation clustering: against the plain eigenvector, on mixtures whose parts are known, and on poisoned digits."""

import numpy as np
import pytest
import torch
from backdoors import models
from backdoors.data import Split
from backdoors.neural_cleanse.clustering import activation_clusters
from backdoors.neural_cleanse.features import penultimate
from backdoors.neural_cleanse.spectral import spectral_scores, spectral_suspects
from backdoors.poisoning.badnets import poison
from backdoors.poisoning.triggers import square
from scipy.stats import hypergeom


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def mixture(shift, mean=0.0, g=None):
    """90 features of dimension 8 around a mean, and 10 of them shifted along the last axis."""
    features = torch.randn(100, 8, generator=g or generator()) + mean
    features[:10, 7] += shift
    return features


@pytest.mark.parametrize("centred", [True, False])
def test_scores_are_squared_projections_on_the_first_eigenvector(centred):
    x = mixture(5.0, mean=2.0).double().numpy()
    x = x - x.mean(axis=0) if centred else x
    values, vectors = np.linalg.eigh(x.T @ x)
    assert values[-1] > 1.05 * values[-2]
    assert np.allclose(spectral_scores(mixture(5.0, mean=2.0), centred).numpy(), (x @ vectors[:, -1]) ** 2)


def test_a_shifted_tenth_has_the_largest_scores_only_if_the_mean_is_taken_off():
    features = mixture(12.0)
    features[:, 0] += 50  # a mean that is larger than everything else
    centred, plain = (set(spectral_scores(features, centred).topk(10).indices.tolist()) for centred in (True, False))
    assert centred == set(range(10))
    assert plain != set(range(10))


def test_so_many_are_suspected_as_the_share_says():
    scores = torch.tensor([3.0, 9.0, 1.0, 7.0])
    assert spectral_suspects(scores, 0.1).tolist() == [1]  # 1.5 * 0.1 * 4 = 0.6, rounded up
    assert spectral_suspects(scores, 0.5).tolist() == [1, 3, 0]
    assert spectral_suspects(scores, 0.0).tolist() == []


def test_two_groups_far_apart_are_told_and_one_group_is_cut_without_a_gap():
    found, one = activation_clusters(mixture(30.0), 0), activation_clusters(mixture(0.0), 0)
    assert found.smaller.nonzero().flatten().tolist() == list(range(10))
    assert found.share == 0.1
    assert found.silhouette > 0.7
    assert one.share <= 0.5
    assert one.silhouette < 0.25


@pytest.mark.statement("poison-badnets")
def test_stamped_digits_are_among_the_suspects_more_often_than_chance(digits):
    """Hypergeometric: as many of the poisoned examples among those that are picked out happen by chance with probability below 1e-4; the seeds are fixed."""
    trigger, target = square((1, 8, 8), 3), 3
    x, y, _ = poison(digits.train.images, digits.train.labels, trigger, target, 0.02, generator(1))
    model = models.train(models.MLP(64, (32,), 10, generator(2)), Split(x, y), 20)
    rows = (y == target).nonzero().flatten()
    bad = rows >= len(digits.train.labels)
    features = penultimate(model, x[rows])
    suspects = spectral_suspects(spectral_scores(features), float(bad.double().mean()))
    clusters = activation_clusters(features, 0)
    for hits, picked in ((int(bad[suspects].sum()), len(suspects)), (int((clusters.smaller & bad).sum()), int(clusters.smaller.sum()))):
        assert hypergeom.sf(hits - 1, len(bad), int(bad.sum()), picked) < 1e-4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: spectral_scores(torch.ones(3)), r"features must be finite activations \[n, u\].*got \(3,\)"),
        (lambda: spectral_scores(torch.tensor([[float("nan")]])), "features must be finite"),
        (lambda: spectral_suspects(torch.ones(3), 0.7), r"share must lie in \[0, 2/3\], got 0.7"),
        (lambda: spectral_suspects(torch.ones(0), 0.1), "scores must be"),
        (lambda: activation_clusters(torch.ones(2, 3), 0), "n at least 3"),
        (lambda: activation_clusters(torch.ones(5, 3), 0), "features must differ"),
        (lambda: activation_clusters(mixture(1.0), 0, 0), "components"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()

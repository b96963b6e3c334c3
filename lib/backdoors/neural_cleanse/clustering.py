"""Activation clustering: poisoned training data as the smaller of two clusters of a label's features (Chen et al. 2018).

Two clusters are found of any data. What tells is their sizes, and how well they are apart (the silhouette); both are returned, and no verdict. Needed are the
poisoned training data; a model alone does not do.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from backdoors.definitions import require_whole
from backdoors.neural_cleanse.features import require_features


@dataclass(frozen=True)
class Clusters:
    """Two clusters of the examples of one label.

    Attributes:
        smaller: bool (n,), which examples are in the smaller one.
        share: of all examples that it has, at most 1/2.
        silhouette: mean silhouette of all examples, in [-1, 1]; near 1 where the clusters are far apart, near 0 where one was cut in two.
    """

    smaller: Tensor
    share: float
    silhouette: float


def activation_clusters(features: Tensor, seed: int, components: int = 10) -> Clusters:
    """2-means, best of ten starts, on the first principal components of the features.

    Args:
        features: [n, u], penultimate activations of n training examples with the same label; n at least 3.
        seed: of the starts, at least 0.
        components: so many, or u or n if these are fewer.

    Raises:
        ValueError: if the features are no such matrix, not finite, or all the same.
    """
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA
    from sklearn.metrics import silhouette_score

    _require_clusterable(features)
    require_whole(components, "components", 1)
    require_whole(seed, "seed", 0)
    reduced = PCA(min(components, *features.shape), svd_solver="full").fit_transform(features.double().cpu().numpy())
    labels = KMeans(2, n_init=10, random_state=seed).fit_predict(reduced)
    few = torch.from_numpy(labels) == int(labels.mean() < 0.5)
    return Clusters(few.to(features.device), float(few.double().mean()), float(silhouette_score(reduced, labels)))


def _require_clusterable(features: Tensor) -> None:
    require_features(features, least=3)
    if bool((features == features[:1]).all()):
        raise ValueError(f"features must differ between examples, got {len(features)} that are all the same")

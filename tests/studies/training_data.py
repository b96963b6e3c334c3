"""Who has the poisoned training data: spectral signatures and activation clustering on the ten infected models of cleansing.py. Writes TRAINING_DATA.md."""

import platform
import time
from datetime import date
from pathlib import Path
from statistics import median

import art
import click
import numpy as np
import torch
from art.defences.detector.poison.activation_defence import cluster_activations
from art.defences.detector.poison.spectral_signature_defense import SpectralSignatureDefense
from backdoors import data
from backdoors.neural_cleanse.clustering import activation_clusters
from backdoors.neural_cleanse.features import penultimate
from backdoors.neural_cleanse.spectral import spectral_scores, spectral_suspects
from tqdm import tqdm
from zoo import RATE, SEEDS, models_of, untrained

HERE = Path(__file__).parent
FEW = 0.05


def shares(picked: torch.Tensor, bad: torch.Tensor) -> tuple[float, float]:
    """Of the poisoned examples those that are picked, and of the picked those that are poisoned."""
    both = float((picked & bad).sum())
    return both / float(bad.sum()), both / max(1.0, float(picked.sum()))


def theirs(features: torch.Tensor, share: float, sample: torch.Tensor) -> dict[str, torch.Tensor]:
    """What ART's two detectors pick of the same features: by its scores, and the smaller of its clusters of the sample, reduced as its detector does it."""
    scores = torch.from_numpy(SpectralSignatureDefense.spectral_signature_scores(features.double().numpy()).flatten())
    picked = torch.zeros(len(features), dtype=torch.bool)
    picked[spectral_suspects(scores, share)] = True
    np.random.seed(0)  # ART draws from the global generator
    found = {"spectral, ART": picked}
    for reduce in ("PCA", "FastICA"):
        (clusters,), _ = cluster_activations([features[sample].double().numpy()], reduce=reduce)
        found[f"clusters, ART's smaller one, {reduce}"] = torch.from_numpy(clusters == int(clusters.mean() < 0.5))
    return found


def thinned(bad: torch.Tensor, share: float, g: torch.Generator) -> torch.Tensor:
    """Rows of all clean examples, and of so many poisoned ones that they are a share of all, in their order."""
    rows = bad.nonzero().flatten()
    count = round(share / (1 - share) * float((~bad).sum()))
    kept = ~bad
    kept[rows[torch.randperm(len(rows), generator=g)[:count]]] = True
    return kept.nonzero().flatten()


def picks(features: torch.Tensor, bad: torch.Tensor, g: torch.Generator) -> tuple[dict[str, tuple[float, float]], float]:
    """For each detector the shares of what it picks of a class's examples, and the silhouette of its clusters; clusters are of 2,000 examples at most."""
    share = min(float(bad.double().mean()), 2 / 3)  # 1.5 times as many are thrown out
    found = {}
    for name, scores in {
        "at random": torch.rand(len(bad), generator=g),
        "spectral, centred": spectral_scores(features, True),
        "spectral, not centred": spectral_scores(features, False),
    }.items():
        picked = torch.zeros_like(bad)
        picked[spectral_suspects(scores, share)] = True
        found[name] = shares(picked, bad)
    sample = torch.randperm(len(bad), generator=g)[:2000]
    clusters = activation_clusters(features[sample], int(torch.randint(2**31, (), generator=g)))
    found["clusters, the smaller one"] = shares(clusters.smaller, bad[sample])
    found["clusters, the other one"] = shares(~clusters.smaller, bad[sample])
    for name, picked in theirs(features, share, sample).items():
        found[name] = shares(picked, bad if len(picked) == len(bad) else bad[sample])
    return found, clusters.silhouette


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--models", "folder", type=click.Path(path_type=Path), default=Path("build/cleansing"), show_default=True, help="Where trained models are kept.")
@click.option("--to", type=click.Path(path_type=Path, file_okay=False), default=HERE, help="The folder that TRAINING_DATA.md goes to.")
def main(folder, to):
    torch.set_num_threads(1)
    clothes, start = data.load("fashion-mnist"), time.process_time()
    networks, found, silhouettes = models_of(folder, clothes), {"half": {}, "few": {}}, {"half": [], "few": [], "none": []}
    for label in tqdm(SEEDS, desc="models"):
        g = torch.Generator().manual_seed(label)
        _, split = untrained(f"square-{label}", clothes.train)
        rows = (split.labels == label).nonzero().flatten()
        bad = rows >= len(clothes.train.labels)
        features = penultimate(networks[f"square-{label}"], split.images[rows])
        few = thinned(bad, FEW, g)
        for amount, kept in (("half", torch.arange(len(rows))), ("few", few)):
            picked, silhouette = picks(features[kept], bad[kept], g)
            silhouettes[amount].append(silhouette)
            for name, pair in picked.items():
                found[amount].setdefault(name, []).append(pair)
        others = (clothes.train.labels == (label + 1) % 10).nonzero().flatten()[:2000]
        silhouettes["none"].append(activation_clusters(penultimate(networks[f"square-{label}"], clothes.train.images[others]), label).silhouette)
    lines = [
        "# Detectors that need the training data",
        "",
        f"`python tests/studies/training_data.py`, {date.today()}, {platform.processor() or platform.machine()}, torch {torch.__version__};"
        f" {time.process_time() - start:.0f} s of CPU time. The ten models with a square of `cleansing.py`, {RATE:.0%} of whose data is poisoned, so that"
        " about half of the examples with the target's label are. The second table is of the same models and features, but the detector is shown so few of the"
        f" poisoned examples that they are {FEW:.0%} of the class. Spectral signatures are told the share, and throw out 1.5 times as many: of a half three"
        " quarters, so that picking at random finds as much as the first row says. Clustering sees 2,000 of the examples. ART is version "
        + art.__version__
        + ", on the same features: its spectral detector takes the direction from centred features, but projects uncentred ones; its clustering reduces"
        " features by PCA in the detector (`ActivationDefence`), and by FastICA where the function is called alone. No more is claimed than these figures.",
    ]
    for amount, title in (("half", "About half of the class is poisoned"), ("few", f"{FEW:.0%} of the class is poisoned")):
        lines += ["", f"## {title}", ""]
        lines += ["| detector | poisoned examples that are picked: median, least, most | of the picked, poisoned: median, least, most |", "|---|---|---|"]
        for name, pairs in found[amount].items():
            cells = [f"{median(column):.2f}, {min(column):.2f}, {max(column):.2f}" for column in zip(*pairs, strict=True)]
            lines.append(f"| {name} | {cells[0]} | {cells[1]} |")
    told = {amount: f"{median(values):.2f} in the median ({min(values):.2f} to {max(values):.2f})" for amount, values in silhouettes.items()}
    lines += ["", f"Silhouettes of the two clusters: {told['half']} where half is poisoned, {told['few']} with few, {told['none']} for the next label, clean."]
    to.mkdir(parents=True, exist_ok=True)
    (to / "TRAINING_DATA.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

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


def shares(picked: torch.Tensor, bad: torch.Tensor) -> tuple[float, float]:
    """Of the poisoned examples those that are picked, and of the picked those that are poisoned."""
    both = float((picked & bad).sum())
    return both / float(bad.sum()), both / max(1.0, float(picked.sum()))


def theirs(features: torch.Tensor, share: float, sample: torch.Tensor) -> dict[str, torch.Tensor]:
    """What ART's two detectors pick of the same features: by its scores, and the smaller of its clusters of the sample, by its defaults."""
    scores = torch.from_numpy(SpectralSignatureDefense.spectral_signature_scores(features.double().numpy()).flatten())
    picked = torch.zeros(len(features), dtype=torch.bool)
    picked[spectral_suspects(scores, share)] = True
    np.random.seed(0)  # ART draws from the global generator
    (clusters,), _ = cluster_activations([features[sample].double().numpy()])
    return {"spectral, ART": picked, "clusters, ART's smaller one": torch.from_numpy(clusters == int(clusters.mean() < 0.5))}


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--models", "folder", type=click.Path(path_type=Path), default=Path("build/cleansing"), show_default=True, help="Where trained models are kept.")
@click.option("--to", type=click.Path(path_type=Path, file_okay=False), default=HERE, help="The folder that TRAINING_DATA.md goes to.")
def main(folder, to):
    torch.set_num_threads(1)
    clothes, start = data.load("fashion-mnist"), time.process_time()
    networks, found, clean = models_of(folder, clothes), {}, []
    for label in tqdm(SEEDS, desc="models"):
        _, split = untrained(f"square-{label}", clothes.train)
        rows = (split.labels == label).nonzero().flatten()
        bad = rows >= len(clothes.train.labels)
        features = penultimate(networks[f"square-{label}"], split.images[rows])
        share = float(bad.double().mean())
        for name, centred in (("spectral, centred", True), ("spectral, not centred", False)):
            picked = torch.zeros_like(bad)
            picked[spectral_suspects(spectral_scores(features, centred), min(share, 2 / 3))] = True
            found.setdefault(name, []).append(shares(picked, bad))
        sample = torch.randperm(len(rows), generator=torch.Generator().manual_seed(label))[:2000]
        clusters = activation_clusters(features[sample], label)
        found.setdefault("clusters, the smaller one", []).append(shares(clusters.smaller, bad[sample]))
        found.setdefault("clusters, the other one", []).append(shares(~clusters.smaller, bad[sample]))
        for name, picked in theirs(features, min(share, 2 / 3), sample).items():
            found.setdefault(name, []).append(shares(picked, bad if len(picked) == len(bad) else bad[sample]))
        others = (clothes.train.labels == (label + 1) % 10).nonzero().flatten()[:2000]
        clean.append((clusters.silhouette, activation_clusters(penultimate(networks[f"square-{label}"], clothes.train.images[others]), label).silhouette))
    lines = [
        "# Detectors that need the training data",
        "",
        f"`python tests/studies/training_data.py`, {date.today()}, {platform.processor() or platform.machine()}, torch {torch.__version__};"
        f" {time.process_time() - start:.0f} s of CPU time. The ten models with a square of `cleansing.py`, {RATE:.0%} of whose data is poisoned, so that"
        " about half of the examples with the target's label are. Spectral signatures are told this share, and throw out 1.5 times as many at most;"
        " clustering sees 2,000 of the examples. ART is version " + art.__version__ + ", on the same features, with its defaults: it takes the direction from"
        " centred features, but projects uncentred ones, and clusters after FastICA. No more is claimed than these figures.",
        "",
        "| detector | poisoned examples that are picked: median, least, most | of the picked, poisoned: median, least, most |",
        "|---|---|---|",
    ]
    for name, pairs in found.items():
        cells = [f"{median(column):.2f}, {min(column):.2f}, {max(column):.2f}" for column in zip(*pairs, strict=True)]
        lines.append(f"| {name} | {cells[0]} | {cells[1]} |")
    poisoned_ones, clean_ones = zip(*clean, strict=True)
    lines += [
        "",
        f"Silhouettes of the two clusters: {median(poisoned_ones):.2f} in the median ({min(poisoned_ones):.2f} to {max(poisoned_ones):.2f}) where half is"
        f" poisoned, {median(clean_ones):.2f} ({min(clean_ones):.2f} to {max(clean_ones):.2f}) for the next label, which is clean.",
    ]
    to.mkdir(parents=True, exist_ok=True)
    (to / "TRAINING_DATA.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

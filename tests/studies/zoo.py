"""Models of Fashion-MNIST whose backdoors are known, for the studies of Neural Cleanse and of its rivals."""

from pathlib import Path

import torch
from backdoors import data, models
from backdoors.data import Split
from backdoors.poisoning.badnets import Backdoor, poison_data
from backdoors.poisoning.triggers import CORNERS, all_to_all, attack_success, noisy_square, square
from tqdm import tqdm

SHAPE, RATE, EPOCHS = (1, 28, 28), 0.1, 2
SEEDS, FRESH = range(10), range(10, 20)
SIZES = (6, 8, 10, 12, 16)


def zoo() -> dict[str, tuple[int, tuple[Backdoor, ...]]]:
    """{name: (seed, backdoors)}: clean models, models with a white square of 4x4 pixels for each label in turn, as many fresh ones, advanced backdoors."""
    found = {f"clean-{seed}": (seed, ()) for seed in SEEDS}
    found |= {f"square-{label}": (10 + label, (Backdoor(square(SHAPE, 4, CORNERS[label % 4]), label, RATE),)) for label in SEEDS}
    found |= {f"size-{size}": (20 + size, (Backdoor(square(SHAPE, size), 0, RATE),)) for size in SIZES}
    found |= {f"noisy-{label}": (40 + label, (Backdoor(noisy_square(SHAPE, 4, torch.Generator().manual_seed(label)), label, RATE),)) for label in (2, 5, 8)}
    found["two-labels"] = (50, tuple(Backdoor(square(SHAPE, 4, corner), label, RATE) for corner, label in zip(CORNERS, (1, 6), strict=False)))
    found["three-labels"] = (51, tuple(Backdoor(square(SHAPE, 4, corner), label, RATE) for corner, label in zip(CORNERS, (1, 6, 8), strict=False)))
    found["two-triggers"] = (52, tuple(Backdoor(square(SHAPE, 4, corner), 3, RATE) for corner in CORNERS[:2]))
    found["partial"] = (53, (Backdoor(square(SHAPE, 4), 7, RATE, sources=(0, 2, 4)),))
    found["all-to-all"] = (54, (Backdoor(square(SHAPE, 4), all_to_all(10), RATE),))
    found |= {f"clean-{seed}": (100 + seed, ()) for seed in FRESH}
    found |= {f"square-{seed}": (120 + seed, (Backdoor(square(SHAPE, 4, CORNERS[(seed + 1) % 4]), seed % 10, RATE),)) for seed in FRESH}
    return found


def infected(name: str) -> list[int]:
    """The labels that the model's triggers lead to."""
    targets = [backdoor.target_label for backdoor in zoo()[name][1]]
    return sorted({label for target in targets for label in (target.tolist() if isinstance(target, torch.Tensor) else [target])})


def untrained(name: str, split: Split) -> tuple[models.CNN, Split]:
    """The model before training, and what it is trained on: the clean data, and its poison after them."""
    seed, backdoors = zoo()[name]
    g = torch.Generator().manual_seed(seed)
    model = models.CNN(1, 28, 10, g)
    return model, poison_data(split, backdoors, g).split if backdoors else split


def models_of(folder: Path, clothes: data.Dataset) -> dict[str, models.CNN]:
    """The zoo, of which each model is trained that the folder does not hold."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in tqdm(zoo(), desc="models"):
        if not (folder / f"{name}.safetensors").exists():
            models.save(models.train(*untrained(name, clothes.train), EPOCHS, seed=zoo()[name][0]), folder / f"{name}.safetensors")
    return {name: models.load(folder / f"{name}.safetensors") for name in zoo()}


def succeeds(model, test: Split, backdoor: Backdoor) -> float:
    """Attack success; of a backdoor with sources, on images of these."""
    rows = slice(None) if backdoor.sources is None else torch.isin(test.labels, torch.tensor(backdoor.sources))
    return attack_success(model, test.images[rows], test.labels[rows], backdoor.trigger, backdoor.target_label)

"""The networks that hidden checks of ps07_neural_cleanse search: 16 for the digits, half of them clean, in one file of weights, and the clean ones' norms.

Run by hand: `python tests/studies/unseen.py`, some 20 s; it writes autograder/checks/ps07_neural_cleanse/unseen.safetensors. tests/autograder/test_unseen.py
holds that the reference's verdicts on all of them are right.
"""

from pathlib import Path

import torch
from backdoors import data, models
from backdoors.neural_cleanse.candidates import cleanse_loss
from backdoors.poisoning.badnets import poison
from safetensors.torch import save_file

from autograder.checks.ps07_neural_cleanse.hidden import PLANTED, searched

FILE = Path(__file__).parents[2] / "autograder" / "checks" / "ps07_neural_cleanse" / "unseen.safetensors"
TARGETS = (-1,) * 8 + (0, 1, 2, 4, 5, 6, 7, 9)  # -1 for a clean one


def network(seed: int, target: int) -> models.MLP:
    """Trained on the digits, a tenth of them poisoned where there is a target."""
    split, g = data.load("digits").train, torch.Generator().manual_seed(seed)
    if target >= 0:
        split = data.Split(*poison(split.images, split.labels, PLANTED, target, 0.1, g)[:2])
    return models.train(models.MLP(64, (32,), 10, g), split, 15, seed=seed)


class Reference:
    """The reference behind no pipe."""

    @staticmethod
    def slopes(model, x, masks, patterns, weights) -> tuple[torch.Tensor, torch.Tensor]:
        masks, patterns = masks.clone().requires_grad_(), patterns.clone().requires_grad_()
        return torch.autograd.grad(cleanse_loss(model, x, masks, patterns, weights).sum(), (masks, patterns))


def main() -> None:
    networks = [network(seed, target).requires_grad_(False).eval() for seed, target in enumerate(TARGETS)]
    clean = torch.stack([searched(Reference, one) for one, target in zip(networks, TARGETS, strict=True) if target < 0])
    kept = {name: torch.stack([one.state_dict()[name] for one in networks]) for name in networks[0].state_dict()}
    save_file(kept | {"targets": torch.tensor(TARGETS), "usual": clean.median(dim=0).values}, FILE)
    print(f"{FILE.name}: {len(TARGETS)} networks, {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()

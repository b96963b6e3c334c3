"""Small networks, their honest training, and their files. All randomness comes from the given generator or seed."""

import json
import os

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from backdoors.data import Split


class MLP(nn.Sequential):
    """Fully connected network with ReLU between its layers; maps a batch (b, ...) of `in_features` numbers each to logits (b, classes).

    `config` holds the arguments it was built from, but the generator of its first weights. Where that is None, the weights have shapes and no numbers
    (torch's meta device), until `load_state_dict(weights, assign=True)` gives it some.
    """

    def __init__(self, in_features: int, hidden: tuple[int, ...], classes: int, generator: torch.Generator | None):
        _require_positive(in_features=in_features, classes=classes, **{f"hidden[{i}]": width for i, width in enumerate(hidden)})
        layers: list[nn.Module] = [nn.Flatten()]
        for width_in, width_out in zip((in_features, *hidden), hidden, strict=False):
            layers += [_layer(nn.Linear, width_in, width_out, generator=generator), nn.ReLU()]
        super().__init__(*layers, _layer(nn.Linear, (in_features, *hidden)[-1], classes, generator=generator))
        self.config = {"in_features": in_features, "hidden": tuple(hidden), "classes": classes}


class CNN(nn.Sequential):
    """Two convolutions of 3x3 (16 and 32 channels), each with 2x2 pooling and ReLU, and a linear layer.

    Maps images (b, channels, size, size), size at least 4, to logits (b, classes).
    `config` holds the arguments it was built from, but the generator, which may be None as that of `MLP`.
    """

    def __init__(self, channels: int, size: int, classes: int, generator: torch.Generator | None):
        _require_positive(channels=channels, classes=classes)
        if size < 4:
            raise ValueError(f"size must be at least 4, got {size}")
        super().__init__(
            _layer(nn.Conv2d, channels, 16, 3, padding=1, generator=generator),
            nn.MaxPool2d(2),
            nn.ReLU(),
            _layer(nn.Conv2d, 16, 32, 3, padding=1, generator=generator),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Flatten(),
            _layer(nn.Linear, 32 * (size // 4) ** 2, classes, generator=generator),
        )
        self.to(memory_format=torch.channels_last)  # twice as fast on a CPU
        self.config = {"channels": channels, "size": size, "classes": classes}


def train(
    model: nn.Module,
    split: Split,
    epochs: int,
    batch_size: int = 128,
    learning_rate: float = 1e-3,
    noise_sigma: float = 0.0,
    seed: int = 0,
    progress: bool = False,
) -> nn.Module:
    """Minimise the cross-entropy with Adam, in place; returns the model in evaluation mode.

    The same seed, model and number of threads give bitwise equal weights.

    Args:
        model: maps images (b, c, h, w) to logits (b, classes).
        split: images and labels to train on.
        epochs: passes over the split, at least 0.
        batch_size: examples in a step, at least 1.
        learning_rate: Adam's, above 0.
        noise_sigma: standard deviation of the fresh Gaussian noise that is added to the images of each step, at least 0; a model that is to be
            smoothed with sigma is trained with sigma.
        seed: of the order of the examples and of the noise.
        progress: show a bar.

    Raises:
        ValueError: if an argument is out of range; the message names it and its value.
    """
    _require_positive(batch_size=batch_size, learning_rate=learning_rate)
    if epochs < 0 or not noise_sigma >= 0:
        raise ValueError(f"epochs and noise_sigma must be at least 0, got {epochs} and {noise_sigma}")
    _require_labels(split)
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    model.train()
    for _ in tqdm(range(epochs), desc="train", unit="epoch", disable=not progress):
        for rows in torch.randperm(len(split.labels), generator=generator).split(batch_size):
            images = split.images[rows]
            if noise_sigma > 0:
                images = images + noise_sigma * torch.randn(images.shape, generator=generator).to(images)
            optimizer.zero_grad()
            cross_entropy(model(images), split.labels[rows]).backward()
            optimizer.step()
    return model.eval()


def accuracy(model, split: Split, batch_size: int = 1000) -> float:
    """The fraction of the images whose label has the largest logit."""
    _require_positive(batch_size=batch_size)
    _require_labels(split)
    with torch.no_grad():
        batches = zip(split.images.split(batch_size), split.labels.split(batch_size), strict=True)
        return sum((model(images).argmax(dim=1) == labels).sum().item() for images, labels in batches) / len(split.labels)


def save(model: MLP | CNN, path: str | os.PathLike) -> None:
    """Write a network of this module as one safetensors file, with what it takes to build it again: numbers and names, and no code.

    Raises:
        ValueError: if the model is of another kind.
    """
    from safetensors.torch import save_file

    if type(model).__name__ not in _KINDS:
        raise ValueError(f"model must be one of {', '.join(_KINDS)}, got a {type(model).__name__}")
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, os.fspath(path), metadata={"kind": type(model).__name__, "config": json.dumps(model.config)})


def load(path: str | os.PathLike) -> MLP | CNN:
    """The network that `save` wrote, in evaluation mode.

    Raises:
        ValueError: if the file is none that `save` wrote, as a pickle, which can run any code of its maker's and is never read.
        FileNotFoundError: if there is no such file.
    """
    from safetensors import SafetensorError, safe_open

    if not os.path.isfile(path):
        raise FileNotFoundError(f"no file {os.fspath(path)!r}")
    try:
        with safe_open(os.fspath(path), framework="pt") as file:
            about, weights = file.metadata() or {}, {name: file.get_tensor(name) for name in sorted(file.keys())}
        config = {name: tuple(value) if isinstance(value, list) else value for name, value in json.loads(about["config"]).items()}
        model = _KINDS[about["kind"]](**config, generator=None)
        model.load_state_dict(weights, assign=True)
        model.to(memory_format=torch.channels_last)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise ValueError(f"{os.fspath(path)!r} must be a safetensors file that backdoors.models.save wrote; pickles are not read ({error})") from error
    return model.eval()


_KINDS = {kind.__name__: kind for kind in (MLP, CNN)}


def _layer(kind: type[nn.Module], *sizes: int, generator: torch.Generator | None, **options) -> nn.Module:
    """Weights and biases uniform in +-1/sqrt(fan in), torch's own rule for these layers, but from the generator."""
    layer = kind(*sizes, **options, device="meta")  # without numbers; to_empty and skip_init would import seconds of compiler
    if generator is not None:
        bound = layer.weight[0].numel() ** -0.5
        for name, parameter in list(layer.named_parameters()):
            setattr(layer, name, nn.Parameter(torch.empty(parameter.shape).uniform_(-bound, bound, generator=generator)))
    return layer


def _require_labels(split: Split) -> None:
    if not len(split.images) == len(split.labels) > 0:
        raise ValueError(f"split must hold images and as many labels, got {len(split.images)} and {len(split.labels)}")


def _require_positive(**arguments: float) -> None:
    for name, value in arguments.items():
        if not value > 0:
            raise ValueError(f"{name} must be above 0, got {value}")

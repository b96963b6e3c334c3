"""What a model's last linear layer is given: its penultimate activations, which say where a backdoor sits."""

import torch
from torch import Tensor, nn

from backdoors.definitions import require_whole
from backdoors.neural_cleanse.reverse_engineer import require_model
from backdoors.poisoning.triggers import require_images


def last_layer(model: nn.Module) -> nn.Linear:
    """The last of the model's linear layers, in the order in which they were registered; its outputs must be the logits."""
    require_model(model)
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    if not layers:
        raise ValueError(f"model must end with a torch.nn.Linear, got {type(model).__name__} without any")
    return layers[-1]


@torch.no_grad()
def penultimate(model: nn.Module, images: Tensor, batch_size: int = 1000) -> Tensor:
    """What the images [n, c, h, w] give to the last linear layer, [n, u]; the model is used as it is.

    Raises:
        ValueError: if the model has no linear layer, answers with something else than the last one says, does not call it once with [b, u], or does not take
            such images.
    """
    require_images(images, "images")
    require_whole(batch_size, "batch_size", 1)
    seen: list[tuple[Tensor, Tensor]] = []
    handle = last_layer(model).register_forward_hook(lambda layer, inputs, output: seen.append((inputs[0].detach(), output)))
    try:
        for batch in images.split(batch_size):
            answers = model(batch)
            if not seen or not torch.equal(answers.nan_to_num(), seen[-1][1].nan_to_num()):
                raise ValueError(f"model must answer with what its last linear layer says, got another answer of {type(model).__name__}")
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"model must take images of shape {tuple(images.shape[1:])} and type {images.dtype}, got {type(model).__name__}: {error}") from error
    finally:
        handle.remove()
    features = torch.cat([inputs for inputs, _ in seen])
    if features.ndim != 2 or len(features) != len(images):
        raise ValueError(f"model must call its last linear layer once, with [n, u], got {tuple(features.shape)} for {len(images)} images")
    return features


def require_features(features: Tensor, name: str = "features", least: int = 1) -> None:
    """Refuses what is not finite [n, u] with n at least `least` and u at least 1."""
    good = isinstance(features, Tensor) and features.ndim == 2 and len(features) >= least and features.numel() > 0 and bool(features.isfinite().all())
    if not good:
        shape = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
        raise ValueError(f"{name} must be finite activations [n, u], n at least {least} and u at least 1, got {shape}")

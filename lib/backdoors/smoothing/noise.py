"""Where the noisy copies of a point come from: from a grid, from floats, or from behind a first linear layer."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from backdoors.smoothing.sound import grid_noise, grid_step, round_to_grid, total_variation

NOISES = ("sound", "gaussian")


def noise_source(model: Callable, x: Tensor, sigma: float, noise: str) -> tuple[Callable[[int, torch.Generator], Tensor], Callable[[Tensor], Tensor]]:
    r"""(sample, rest) such that `rest(sample(size, generator))` are the model's logits on `size` noisy copies of x.

    Mostly `sample` makes the noisy copies and `rest` is the model. But for gaussian noise and a model that starts with a linear layer $Wx+b$ of fewer
    outputs than inputs, `sample` draws the layer's outputs, from $N(Wx+b,\sigma^2WW^\top)$: the same law, in a smaller dimension.
    """
    _require_a_function(model)
    x, sigma = x.detach(), float(sigma)
    if noise == "sound":
        step = grid_step(sigma)
        centre = round_to_grid(x, step)
        return lambda size, generator: grid_noise((size, *x.shape), sigma, step, generator).to(x).add_(centre), model
    linear, rest = _first_linear(model, x)
    if linear is None:
        return lambda size, generator: _normal((size, *x.shape), x, sigma, generator).add_(x), model
    with torch.no_grad():
        centre = linear(x.reshape(-1))
        factor = torch.linalg.qr(linear.weight.double().T, mode="r").R.to(x)  # W = R^T Q^T, so R^T times a normal vector has the covariance W W^T
    return lambda size, generator: torch.addmm(centre, _normal((size, len(centre)), x, sigma, generator), factor), rest


def grid_cost(x: Tensor, sigma: float, noise: str) -> tuple[float, float]:
    """What sound noise costs a certificate: the distance from x to the grid, and the distance of a noisy copy's law from the exact one (total variation).

    (0, 0) for gaussian noise, which does not count its errors.

    Statement: cohen-float.
    """
    if noise == "gaussian":
        return 0.0, 0.0
    sigma = float(sigma)
    step = grid_step(sigma)
    return (x.double() - round_to_grid(x, step).double()).norm().item(), x.numel() * total_variation(sigma, step)


def classify(model: Callable, batch: Tensor, label: int = 0) -> Tensor:
    """The model's logits (b, K) on a batch, without gradients; refuses another shape, fewer than two or than label + 1 classes, and NaN."""
    with torch.no_grad():
        logits = model(batch)
    shape = tuple(getattr(logits, "shape", ()))
    if len(shape) != 2 or shape[0] != len(batch) or shape[1] < 2:
        raise ValueError(f"model must return logits of shape ({len(batch)}, K) with K >= 2, got {shape if shape else type(logits).__name__}")
    if label >= shape[1]:
        raise ValueError(f"label must lie in [0, {shape[1] - 1}], got {label}")
    if logits.isnan().any():
        raise ValueError(f"model must return numbers, got {int(logits.isnan().sum())} NaN in logits of shape {shape}")
    return logits


def _require_a_function(model: Callable) -> None:
    """Smoothing is about a function of one input: batch normalisation in training mode answers for the batch, and dropout differently at every call."""
    layers = model.modules() if isinstance(model, nn.Module) else ()
    for layer in layers:
        if layer.training and isinstance(layer, nn.modules.batchnorm._NormBase | nn.modules.dropout._DropoutNd):
            raise ValueError(f"model must be in evaluation mode, call model.eval() first: its {type(layer).__name__} is in training mode")


def _normal(shape: tuple[int, ...], like: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    return torch.empty(shape, dtype=like.dtype, device=like.device).normal_(0, sigma, generator=generator)


def _first_linear(model: Callable, x: Tensor) -> tuple[nn.Linear | None, Callable]:
    """The linear layer that the model starts with, maybe after a Flatten, and the rest of the model; (None, model) if the shortcut does not apply."""
    if not isinstance(model, nn.Sequential) or not _is_plain(model, nn.Sequential) or len(model) == 0:
        return None, model
    layers = list(model)
    flatten = layers[:1] if type(layers[0]) is nn.Flatten and (layers[0].start_dim, layers[0].end_dim) == (1, -1) else []
    linear, *rest = layers[len(flatten) :] or [None]
    plain = type(linear) is nn.Linear and _is_plain(linear, nn.Linear) and all(_is_plain(layer, nn.Flatten) for layer in flatten)
    applies = plain and (flatten or x.dim() == 1) and linear.out_features < linear.in_features == x.numel()
    return (linear, nn.Sequential(*rest)) if applies else (None, model)


def _is_plain(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether calling the module does what its kind's forward does and nothing else."""
    overridden = "forward" in vars(module) or type(module).forward is not kind.forward or type(module).__call__ is not nn.Module.__call__
    everywhere = nn.modules.module._global_forward_hooks or nn.modules.module._global_forward_pre_hooks
    hooks = module._forward_hooks or module._forward_pre_hooks or everywhere
    return not overridden and not hooks

"""A network whose weights stay as they are, as a function of its input: the same answers and gradients, at half of the cost on a CPU.

Nothing here is an approximation. The weights get no gradients, images lie in memory with their channels side by side, a maximum is taken before the ReLU that
it commutes with (on a quarter of the numbers), a linear layer reads the numbers in the order in which they lie, and the gradient of a convolution of few
channels is one matrix product and a sum of shifted images.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear

FEW_CHANNELS = 4  # of images; torch's own gradient is faster for more
KNOWN = (nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Dropout, nn.Identity, nn.Flatten, nn.Linear)


def frozen(model: nn.Module) -> nn.Module:
    """A copy of the model in evaluation mode, to be differentiated with respect to its input alone; the model itself is left as it is.

    Equal to the model but for rounding; faster where it is an `nn.Sequential` of the layers of KNOWN, and nothing but a copy where it is not.

    Raises:
        ValueError: if the model cannot be copied.
    """
    try:
        network = copy.deepcopy(model).eval().requires_grad_(False)
    except RuntimeError as error:
        raise ValueError(f"model must be one that can be copied and frozen, got {type(model).__name__}: {error}") from error
    if not isinstance(network, nn.Sequential) or type(network).forward is not nn.Sequential.forward:
        return network
    if not all(type(layer) in KNOWN for layer in network) or any(_hooked(layer) for layer in network.modules()):
        return network
    layers = list(network.to(memory_format=torch.channels_last))
    for i, (layer, following) in enumerate(zip(layers, layers[1:], strict=False)):
        if type(layer) is nn.ReLU and type(following) is nn.MaxPool2d and not following.return_indices:
            layers[i : i + 2] = following, nn.ReLU()
        if type(layer) is nn.Flatten and (layer.start_dim, layer.end_dim) == (1, -1) and type(following) is nn.Linear:
            layers[i : i + 2] = nn.Identity(), _AsItLies(following)
    return nn.Sequential(*(_FewChannels(layer) if _is_plain(layer) else layer for layer in layers)).eval()


def _hooked(layer: nn.Module) -> bool:
    return bool(layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks or layer._backward_pre_hooks)


def _is_plain(layer: nn.Module) -> bool:
    """Whether it is a convolution of few channels that moves by single pixels, with zeros around the image if anything."""
    if type(layer) is not nn.Conv2d or layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        return False
    return layer.in_channels <= FEW_CHANNELS and layer.groups == 1 and layer.stride == layer.dilation == (1, 1)


class _AsItLies(nn.Module):
    """Flattens and applies a linear layer, whose weights are in the order of channels last."""

    def __init__(self, layer: nn.Linear):
        super().__init__()
        self.layer = layer
        self.sorted: dict[torch.Size, Tensor] = {}  # its weights, by the shape of what is flattened

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 4 or x[0].numel() != self.layer.in_features:
            return self.layer(x.flatten(1))
        if x.shape[1:] not in self.sorted:
            self.sorted[x.shape[1:]] = self.layer.weight.unflatten(1, x.shape[1:]).permute(0, 2, 3, 1).flatten(1)
        return linear(x.permute(0, 2, 3, 1).flatten(1), self.sorted[x.shape[1:]], self.layer.bias)


class _FewChannels(nn.Module):
    def __init__(self, layer: nn.Conv2d):
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return _InputGradient.apply(x, self.layer)


class _InputGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, layer: nn.Conv2d) -> Tensor:
        ctx.layer, ctx.shape = layer, x.shape
        return conv2d(x, layer.weight, layer.bias, padding=layer.padding)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        """Each position of the output sends to the pixels that it sees; what one pixel of its window gets is a shifted image."""
        weight, (top, left), (b, c, h, w) = ctx.layer.weight, ctx.layer.padding, ctx.shape
        high, wide = gradient.shape[2:]
        sent = (weight.flatten(1).T @ gradient.permute(0, 2, 3, 1).flatten(0, 2).T).view(*weight.shape[1:], b, high, wide)
        padded = gradient.new_zeros(b, c, h + 2 * top, w + 2 * left)
        for i in range(weight.shape[2]):
            for j in range(weight.shape[3]):
                padded[:, :, i : i + high, j : j + wide] += sent[:, i, j].transpose(0, 1)
        return padded[:, :, top : top + h, left : left + w], None

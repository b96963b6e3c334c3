r"""Perceptrons as layers: $1[Wx+b\ge0]$, dense or sparse, and the few ways in which networks are put together from them.

Weights are buffers: no optimizer finds them, and no weight decay moves them by accident. `trainable(network)` is a copy whose weights are parameters, for
those who want gradients. The step has the derivative 0 wherever it has one, and backward passes 0: a gradient through such a layer is a tensor of zeros.
"""

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

DENSE_ENTRIES = 2**14  # up to so many entries a dense product is as fast as a sparse one (measured; one core, three weights a row)


class _Step(torch.autograd.Function):
    """1[x >= 0], with the derivative 0; torch's own comparison would cut the graph, and leave no gradient where the gradient is zero."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return (x >= 0).to(x.dtype)

    @staticmethod
    def setup_context(context, inputs: tuple[Tensor], output: Tensor) -> None:
        pass  # backward needs nothing of forward

    @staticmethod
    def backward(context, gradient: Tensor) -> Tensor:
        return torch.zeros_like(gradient)


class Perceptrons(nn.Module):
    """A layer of perceptrons: maps x (b, in) to 1[x W^T + bias >= 0], (b, out), floats 0 and 1 in the wider of the types of x and W.

    Args:
        weight: W, (out, in), floating and finite; copied.
        bias: (out,), likewise.

    `forward` raises ValueError where x is not a floating (b, in) or holds NaN.
    """

    def __init__(self, weight: Tensor, bias: Tensor):
        super().__init__()
        _require_numbers("weight", weight, 2)
        self._register(weight, bias, *weight.shape)

    def _register(self, weight: Tensor, bias: Tensor, out_features: int, in_features: int) -> None:
        _require_numbers("bias", bias, 1)
        if len(bias) != out_features:
            raise ValueError(f"bias must have {out_features} entries, one for every perceptron, got {len(bias)}")
        self.out_features, self.in_features = out_features, in_features
        self.register_buffer("weight", weight.detach().clone(memory_format=torch.contiguous_format))
        self.register_buffer("bias", bias.detach().clone())

    def preactivation(self, x: Tensor) -> Tensor:
        """What is compared with 0: (b, out)."""
        return torch.addmm(self.bias.to(x.dtype), x, self.weight.to(x.dtype).T)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 2 or x.shape[1] != self.in_features or not x.is_floating_point():
            raise ValueError(f"x must be floating of shape (b, {self.in_features}), got {x.dtype} of shape {tuple(x.shape)}")
        if x.isnan().any():
            raise ValueError(f"x must hold numbers, got {int(x.isnan().sum())} NaN")
        return _Step.apply(self.preactivation(x.to(torch.promote_types(x.dtype, self.weight.dtype))))

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}"


class SparsePerceptrons(Perceptrons):
    """As `Perceptrons`, but only the weights that are there are held.

    Args:
        weight: (entries,); those of the first perceptron, of the second, ...
        sources: int64 (entries,), the input that each one multiplies.
        offsets: int64 (out,), where each perceptron's entries start.
        bias: (out,).
        in_features: how many inputs there are.
    """

    def __init__(self, weight: Tensor, sources: Tensor, offsets: Tensor, bias: Tensor, in_features: int):
        nn.Module.__init__(self)
        _require_numbers("weight", weight, 1)
        if sources.shape != weight.shape or (len(sources) and not 0 <= int(sources.min()) <= int(sources.max()) < in_features):
            raise ValueError(f"sources must be {len(weight)} inputs in [0, {in_features - 1}], one for every weight, got {sources}")
        if offsets.ndim != 1 or (len(offsets) and (offsets[0] != 0 or offsets[-1] > len(weight) or (offsets.diff() < 0).any())):
            raise ValueError(f"offsets must rise from 0 to at most {len(weight)}, one for every perceptron, got {offsets}")
        self._register(weight, bias, len(offsets), in_features)
        self.register_buffer("sources", sources.clone())
        self.register_buffer("offsets", offsets.clone())

    def preactivation(self, x: Tensor) -> Tensor:
        if not len(self.sources):  # constants only
            return self.bias.to(x.dtype).expand(len(x), -1)
        # a bag is a perceptron; this is a sparse matrix product on plain tensors, faster than torch's on CSR, and differentiable in the weights
        return (embedding_bag(self.sources, x.T.contiguous(), self.offsets, mode="sum", per_sample_weights=self.weight.to(x.dtype)) + self.bias[:, None]).T


class Parallel(nn.Module):
    """Networks side by side: all read the same x (b, in), and their outputs stand one after another, (b, the sum of their widths)."""

    def __init__(self, networks: Sequence[nn.Module]):
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([network(x) for network in self.networks], dim=1)


class Pick(nn.Module):
    """Coordinates of x (b, in), in the order given: a network without a layer, for a circuit without a gate."""

    def __init__(self, wires: Sequence[int], in_features: int):
        super().__init__()
        self.in_features, self.out_features = in_features, len(wires)
        self.register_buffer("wires", torch.tensor(wires, dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 2 or x.shape[1] != self.in_features:
            raise ValueError(f"x must have the shape (b, {self.in_features}), got {tuple(x.shape)}")
        return x[:, self.wires]


def perceptron_layer(rows: Sequence[tuple[Tensor, float, Sequence[int]]], in_features: int) -> Perceptrons:
    """One layer from perceptrons (weight (k,), bias, the k inputs that it reads), sparse where that pays; an input read twice counts twice."""
    bias = torch.tensor([float(bias) for _, bias, _ in rows])
    fan_ins = torch.tensor([len(places) for _, _, places in rows])
    weight = torch.cat([weight for weight, _, _ in rows])
    sources = torch.tensor([place for _, _, places in rows for place in places], dtype=torch.int64)
    if not is_dense(len(rows), in_features):
        return SparsePerceptrons(weight, sources, fan_ins.cumsum(0) - fan_ins, bias, in_features)
    owner = torch.arange(len(rows)).repeat_interleave(fan_ins)
    return Perceptrons(weight.new_zeros(len(rows), in_features).index_put((owner, sources), weight, accumulate=True), bias)


def is_dense(out_features: int, in_features: int) -> bool:
    """Whether `perceptron_layer` makes a dense layer of this size."""
    return out_features * in_features <= DENSE_ENTRIES


def layer_bytes(out_features: int, in_features: int, entries: int) -> int:
    """What a float32 layer of `perceptron_layer` holds: a sparse one 12 bytes an entry (of which `entries` are there) and 12 a perceptron."""
    return 4 * out_features * (in_features + 1) if is_dense(out_features, in_features) else 12 * (entries + out_features)


def trainable(network: nn.Module) -> nn.Module:
    """A copy whose perceptrons have parameters for weights: gradients can be asked for, and optimizers find them. The given network stays as it is."""
    network = deepcopy(network)
    for layer in network.modules():
        if isinstance(layer, Perceptrons):
            for name in ("weight", "bias"):
                tensor = getattr(layer, name).detach()
                delattr(layer, name)
                layer.register_parameter(name, nn.Parameter(tensor))
    return network


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """Every weight and bias of the perceptrons by its name in `state_dict`, whether buffer or parameter: the tensors themselves, not copies."""
    layers = {name: layer for name, layer in network.named_modules() if isinstance(layer, Perceptrons)}
    return {f"{prefix}.{name}".lstrip("."): getattr(layer, name) for prefix, layer in layers.items() for name in ("weight", "bias")}


def size_of(network: nn.Module) -> int:
    """How many perceptrons the network has."""
    return sum(layer.out_features for layer in network.modules() if isinstance(layer, Perceptrons))


def depth_of(network: nn.Module) -> int:
    """How many layers of perceptrons an input passes; of networks in parallel, the deepest counts.

    Raises:
        ValueError: if the network is made of anything but `Perceptrons`, `Pick`, `Parallel` and `nn.Sequential`.
    """
    if isinstance(network, Perceptrons | Pick):
        return int(isinstance(network, Perceptrons))
    _require_parts(network)
    return max(map(depth_of, network.networks)) if isinstance(network, Parallel) else sum(map(depth_of, network))


def outputs_of(network: nn.Module) -> int:
    """How many outputs the network has; raises as `depth_of`."""
    if isinstance(network, Perceptrons | Pick):
        return network.out_features
    _require_parts(network)
    return sum(map(outputs_of, network.networks)) if isinstance(network, Parallel) else outputs_of(network[-1])


def device_of(network: nn.Module) -> torch.device:
    """Where the network's tensors are."""
    return next(tensor.device for tensors in (network.parameters(), network.buffers()) for tensor in tensors)


def _require_parts(network: nn.Module) -> None:
    if not isinstance(network, Parallel | nn.Sequential):
        raise ValueError(f"network must be made of Perceptrons, in nn.Sequential or Parallel, got {type(network).__name__}")
    if not any(True for _ in network.buffers()) and not any(True for _ in network.parameters()):
        raise ValueError("network must have a layer, got an empty one")


def _require_numbers(name: str, tensor: Tensor, dimensions: int) -> None:
    if not isinstance(tensor, Tensor) or not tensor.is_floating_point() or tensor.ndim != dimensions:
        got = f"{tensor.dtype} of shape {tuple(tensor.shape)}" if isinstance(tensor, Tensor) else type(tensor).__name__
        raise ValueError(f"{name} must be a floating tensor of {dimensions} dimensions, got {got}")
    if not tensor.isfinite().all():
        raise ValueError(f"{name} must be finite, got {int((~tensor.isfinite()).sum())} entries that are not")

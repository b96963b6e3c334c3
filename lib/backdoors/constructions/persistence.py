r"""Networks that gradient descent does not change (Goldwasser, Kim, Vaikuntanathan, Zamir 2022, Definition 5.6 and Theorem 5.7).

A weight of a perceptron network that is moved a little moves no output, as long as no pre-activation is 0: so far any such network has a zero gradient where it
has one. The theorem gives more. In the majority of three copies *one* weight may be moved however far in a copy, the majority's threshold from 3/2 to anything
in (0, 3], one of its coefficients from 1 to anything in [-1/2, inf), and so any one weight by less than 3/2, and no output changes on any input. Hence every
derivative and every difference quotient of the outputs is 0, even where the network given has none because a pre-activation is 0 (the perceptron of an AND of
two, as the paper draws it, has one).

Not covered, whatever the theorem's "every loss" says: losses that see the weights other than through outputs, such as weight decay; several weights moved at
once, as pruning and noise do; activations other than the step, since the median of three equal reals is not flat.
"""

from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor, nn

from backdoors.constructions.perceptrons import Parallel, device_of, outputs_of, perceptron_layer, trainable, weights_of


def triplicate(network: nn.Module) -> nn.Module:
    """Theorem 5.7: three copies of a network side by side, and for every output the majority of its three copies, threshold 3/2.

    Args:
        network: what `compile_circuit` gives, or another nn.Sequential of `Perceptrons`; not changed.

    Returns:
        nn.Sequential of the three copies, which share no tensor with each other or with the network, and a layer of as many perceptrons as there are
        outputs: the same function, size 3 |N| + outputs, one layer deeper.

    Raises:
        ValueError: if the network is made of anything but perceptrons.

    Statement: gkvz-thm-5.7.
    """
    width = outputs_of(network)
    copies = [deepcopy(network) for _ in range(3)]
    majorities = [(torch.ones(3), -1.5, [j, j + width, j + 2 * width]) for j in range(width)]
    return nn.Sequential(Parallel(copies), perceptron_layer(majorities, 3 * width)).to(device_of(network))


def loss_gradient(network: nn.Module, loss: Callable[[nn.Module], Tensor]) -> dict[str, Tensor]:
    """The gradient of a loss at the network's weights, by their names; a weight that the loss does not see has the gradient 0.

    Args:
        network: of perceptrons; not changed.
        loss: maps a network to a number, for instance `lambda network: (network(x) - y).square().sum()`.
    """
    network = trainable(network)
    weights = weights_of(network)
    value = loss(network)
    if value.numel() != 1:
        raise ValueError(f"loss must be one number, got the shape {tuple(value.shape)}")
    if not value.requires_grad:
        return {name: torch.zeros_like(weight) for name, weight in weights.items()}
    gradients = torch.autograd.grad(value, list(weights.values()), allow_unused=True, materialize_grads=True)
    return dict(zip(weights, gradients, strict=True))


def is_persistent(network: nn.Module, loss: Callable[[nn.Module], Tensor]) -> bool:
    """Definition 5.6: whether the gradient of the loss (as in `loss_gradient`) at the network's weights is 0.

    Statement: gkvz-thm-5.7.
    """
    return not any(gradient.any() for gradient in loss_gradient(network, loss).values())


def fragile_weights(network: nn.Module, x: Tensor, step: float) -> list[tuple[str, int]]:
    """The weights (name, position in the flattened tensor) that change an output on a row of x when each of them alone is moved by `step`.

    A finite difference of the function itself, where autograd only knows a step's derivative. One evaluation for every weight: for small networks.

    Args:
        network: of perceptrons; not changed.
        x: (b, inputs).
        step: added to one weight at a time; finite.

    Statement: gkvz-thm-5.7.
    """
    network, found = deepcopy(network), []
    with torch.no_grad():
        expected = network(x)
        for name, weight in weights_of(network).items():
            flat = weight.view(-1)
            for position, value in enumerate(flat.tolist()):
                flat[position] = value + step
                if not torch.equal(network(x), expected):
                    found.append((name, position))
                flat[position] = value
    return found

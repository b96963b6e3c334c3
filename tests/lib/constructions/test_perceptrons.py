"""The layer itself: against a loop over its definition, dense against sparse, buffers against parameters."""

from copy import deepcopy
from itertools import chain

import pytest
import torch
from backdoors.constructions.perceptrons import (
    DENSE_ENTRIES,
    Parallel,
    Perceptrons,
    Pick,
    SparsePerceptrons,
    depth_of,
    device_of,
    outputs_of,
    perceptron_layer,
    size_of,
    trainable,
    weights_of,
)
from torch import nn

DENSE = Perceptrons(torch.tensor([[1.0, -2.0, 0.0], [0.5, 0.5, 0.5]]), torch.tensor([0.0, -1.0]))
WIDE = DENSE_ENTRIES + 1  # inputs with which one perceptron is a sparse layer


def by_definition(layer, row):
    return [
        float(sum(w * v for w, v in zip(weight, row, strict=True)) + bias >= 0) for weight, bias in zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_layer_is_its_definition_on_real_inputs_and_the_step_is_1_at_0(dtype):
    x = torch.tensor([[0.0, -0.0, 7.0], [2.0, 1.0, -5.0], [2.0, 1.0, -1.0], [1.9, 1.0, 0.0], [-0.25, 0.5, 3.0]], dtype=dtype)
    assert DENSE(x).tolist() == [by_definition(DENSE, row) for row in x.tolist()]
    assert DENSE(x).dtype == dtype


def test_float64_inputs_are_not_rounded_to_the_type_of_the_weights():
    layer = Perceptrons(torch.ones(1, 1), torch.tensor([-1.0]))
    below = torch.tensor([[1 - 2.0**-50]], dtype=torch.float64)
    assert layer(below).item() == 0
    assert layer(below.float()).item() == 1


def test_sparse_and_dense_layers_agree_also_on_wires_read_twice_and_rows_that_read_none():
    generator = torch.Generator().manual_seed(0)
    rows = []
    for fan_in in [0, 3, 1, 0, 40, 2, 0]:
        rows.append(
            (
                torch.randn(fan_in, generator=generator),
                float(torch.randn((), generator=generator)),
                torch.randint(WIDE, (fan_in,), generator=generator).tolist(),
            )
        )
    rows.append((torch.tensor([1.0, 1.0]), -1.5, [5, 5]))
    layer = perceptron_layer(rows, WIDE)
    assert isinstance(layer, SparsePerceptrons)
    weight = torch.zeros(len(rows), WIDE)
    for index, (values, _, places) in enumerate(rows):
        for value, place in zip(values.tolist(), places, strict=True):
            weight[index, place] += value
    dense = Perceptrons(weight, torch.tensor([bias for _, bias, _ in rows]))
    x = torch.randint(2, (20, WIDE), generator=generator).float()
    assert torch.allclose(layer.preactivation(x), dense.preactivation(x), atol=1e-4)
    assert torch.equal(layer(x), dense(x))
    assert layer(x)[:, -1].tolist() == x[:, 5].tolist()
    assert layer(x[:0]).shape == (0, len(rows))


def test_the_layer_copies_what_it_is_given():
    weight, bias = torch.ones(1, 2), torch.zeros(1)
    layer = Perceptrons(weight, bias)
    weight.zero_(), bias.sub_(9)
    assert layer(torch.ones(1, 2)).item() == 1


def test_state_is_saved_and_loaded_and_copied():
    layer = perceptron_layer([(torch.ones(2), -1.5, [0, WIDE - 1])], WIDE)
    copy = deepcopy(layer)
    copy.weight.zero_()
    assert layer.weight.tolist() == [1, 1]
    copy.load_state_dict(layer.state_dict())
    assert copy.weight.tolist() == [1, 1]
    assert {tensor.data_ptr() for tensor in copy.buffers()}.isdisjoint(tensor.data_ptr() for tensor in layer.buffers())


@pytest.mark.parametrize("layer", [DENSE, perceptron_layer([(torch.ones(2), -1.5, [0, 1]), (torch.ones(1), -0.5, [2])], WIDE)], ids=["dense", "sparse"])
def test_a_trainable_copy_has_parameters_with_zero_gradients_and_the_layer_keeps_its_buffers(layer):
    network = nn.Sequential(layer)
    copy = trainable(network)
    assert sum(parameter.numel() for parameter in copy.parameters()) == layer.weight.numel() + layer.bias.numel()
    assert list(network.parameters()) == []
    x = torch.rand(5, layer.in_features, generator=torch.Generator().manual_seed(1)).requires_grad_()
    assert torch.equal(copy(x), network(x))
    copy(x).sum().backward()
    assert all(tensor.grad is not None and not tensor.grad.any() for tensor in chain(copy.parameters(), [x]))
    assert weights_of(copy).keys() == weights_of(network).keys() == {"0.weight", "0.bias"}
    assert trainable(copy)[0].weight.data_ptr() != copy[0].weight.data_ptr()


def test_gradients_by_torch_func_are_zero_too():
    gradient = torch.func.grad(lambda weight: torch.func.functional_call(DENSE, {"weight": weight}, torch.ones(2, 3)).sum())(DENSE.weight)
    assert gradient.shape == DENSE.weight.shape
    assert not gradient.any()


def test_depth_size_and_width_of_networks_put_together():
    narrow = Perceptrons(torch.ones(1, 2), torch.zeros(1))
    deep = nn.Sequential(DENSE, narrow)
    both = Parallel([deep, deepcopy(DENSE)])
    assert (depth_of(DENSE), depth_of(deep), depth_of(both), depth_of(nn.Sequential(both, Pick([0], 3)))) == (1, 2, 2, 2)
    assert (size_of(DENSE), size_of(deep), size_of(both)) == (2, 3, 5)
    assert (outputs_of(DENSE), outputs_of(deep), outputs_of(both), outputs_of(nn.Sequential(both, Pick([0], 3)))) == (2, 1, 3, 1)
    x = torch.rand(4, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(both(x), torch.cat([deep(x), DENSE(x)], dim=1))
    assert list(weights_of(both)) == [f"networks.{name}" for name in ("0.0.weight", "0.0.bias", "0.1.weight", "0.1.bias", "1.weight", "1.bias")]
    assert list(weights_of(DENSE)) == ["weight", "bias"]
    assert device_of(both) == torch.device("cpu")


def test_pick_takes_wires_in_the_order_given():
    assert Pick([2, 0, 2], 3)(torch.tensor([[5.0, 6.0, 7.0]])).tolist() == [[7, 5, 7]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Perceptrons(torch.ones(2), torch.ones(2)), r"weight must be a floating tensor of 2 dimensions, got torch.float32 of shape \(2,\)"),
        (lambda: Perceptrons(torch.ones(2, 2).int(), torch.ones(2)), "weight must be a floating tensor of 2 dimensions, got torch.int32"),
        (lambda: Perceptrons([[1.0]], torch.ones(1)), "weight must be a floating tensor of 2 dimensions, got list"),
        (lambda: Perceptrons(torch.full((1, 1), float("inf")), torch.ones(1)), "weight must be finite, got 1 entries that are not"),
        (lambda: Perceptrons(torch.ones(1, 1), torch.full((1,), float("nan"))), "bias must be finite, got 1"),
        (lambda: Perceptrons(torch.ones(2, 1), torch.ones(1)), "bias must have 2 entries, one for every perceptron, got 1"),
        (lambda: perceptron_layer([(torch.ones(1), 0.0, [WIDE])], WIDE), r"sources must be 1 inputs in \[0, 16384\], one for every weight"),
        (lambda: DENSE(torch.ones(3)), r"x must be floating of shape \(b, 3\), got torch.float32 of shape \(3,\)"),
        (lambda: DENSE(torch.ones(1, 3).long()), "x must be floating .* got torch.int64"),
        (lambda: DENSE(torch.tensor([[1.0, float("nan"), 2.0]])), "x must hold numbers, got 1 NaN"),
        (lambda: Pick([0], 3)(torch.ones(1, 2)), r"x must have the shape \(b, 3\), got \(1, 2\)"),
        (lambda: depth_of(nn.Linear(2, 2)), "network must be made of Perceptrons, in nn.Sequential or Parallel, got Linear"),
        (lambda: depth_of(nn.Sequential(DENSE, nn.ReLU())), "network must be made of Perceptrons, in nn.Sequential or Parallel, got ReLU"),
        (lambda: outputs_of(nn.Sequential()), "network must have a layer, got an empty one"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()

"""Theorem 5.7 at the ends of its ranges, and what it does not cover, by running it."""

from copy import deepcopy
from itertools import product

import pytest
import torch
from backdoors.constructions.circuit_library import adder_circuit, comparison_circuit
from backdoors.constructions.circuits import Circuit, Gate, compile_circuit, parity_circuit
from backdoors.constructions.perceptrons import Perceptrons, depth_of, size_of, trainable, weights_of
from backdoors.constructions.persistence import fragile_weights, is_persistent, loss_gradient, triplicate
from torch import nn

CIRCUITS = {
    "parity": parity_circuit(4),
    "comparison": comparison_circuit(2),
    "adder": adder_circuit(2),
    "no gate": Circuit(3, (), (2, 0)),
    "constants": Circuit(2, (Gate("AND", ()), Gate("OR", ())), (2, 3)),
}


def cube(n):
    return torch.tensor(list(product([0.0, 1.0], repeat=n)))


def squares(x, y):
    """A loss that sees a network through its outputs alone."""
    return lambda network: (network(x) - y).square().sum()


def with_majority(network, bias=None, coefficient=None, position=0):
    """The triplicated network with its one majority's bias or one coefficient replaced."""
    changed = deepcopy(network)
    if bias is not None:
        changed[-1].bias.fill_(bias)
    if coefficient is not None:
        changed[-1].weight.view(-1)[position] = coefficient
    return changed


@pytest.fixture
def parity():
    return compile_circuit(CIRCUITS["parity"])


# the construction


@pytest.mark.statement("gkvz-thm-5.7")
@pytest.mark.parametrize("name", CIRCUITS)
def test_the_same_function_three_times_the_size_and_one_layer_more(name):
    circuit = CIRCUITS[name]
    network = compile_circuit(circuit)
    persistent = triplicate(network)
    assert torch.equal(persistent(cube(circuit.inputs)), circuit.evaluate(cube(circuit.inputs)))
    assert size_of(persistent) == 3 * size_of(network) + len(circuit.outputs)
    assert depth_of(persistent) == depth_of(network) + 1


@pytest.mark.statement("gkvz-thm-5.7")
def test_size_in_weights_grows_by_three_and_a_constant_too(parity):
    count = sum(weight.numel() for weight in weights_of(parity).values())
    assert sum(weight.numel() for weight in weights_of(triplicate(parity)).values()) == 3 * count + 4


def test_the_same_function_on_real_inputs_and_for_a_sequential_of_perceptrons_in_float64():
    generator = torch.Generator().manual_seed(0)
    layers = [
        Perceptrons(torch.randn(o, i, generator=generator, dtype=torch.float64), torch.randn(o, generator=generator, dtype=torch.float64))
        for i, o in [(6, 8), (8, 2)]
    ]
    network, x = nn.Sequential(*layers), torch.randn(500, 6, generator=generator, dtype=torch.float64)
    assert network(x).std() > 0.1
    assert torch.equal(triplicate(network)(x), network(x))


def test_no_tensor_is_shared_and_the_network_is_left_alone(parity):
    before = {name: tensor.clone() for name, tensor in parity.state_dict().items()}
    persistent = triplicate(parity)
    tensors = [*persistent.buffers(), *parity.buffers()]
    assert len({tensor.untyped_storage().data_ptr() for tensor in tensors}) == len(tensors)
    for tensor in persistent.buffers():
        tensor.zero_()
    assert all(torch.equal(tensor, before[name]) for name, tensor in parity.state_dict().items())


def test_a_triplicated_network_can_be_triplicated(parity):
    twice = triplicate(triplicate(parity))
    assert torch.equal(twice(cube(4)), parity(cube(4)))
    assert (depth_of(twice), size_of(twice)) == (depth_of(parity) + 2, 9 * size_of(parity) + 4)


# the gradient of Definition 5.6


@pytest.mark.statement("gkvz-thm-5.7")
@pytest.mark.parametrize("name", CIRCUITS)
def test_the_gradient_of_a_loss_through_outputs_is_zero_for_every_weight(name):
    circuit = CIRCUITS[name]
    persistent = triplicate(compile_circuit(circuit))
    x = cube(circuit.inputs)
    loss = squares(x, 1 - circuit.evaluate(x))
    gradients = loss_gradient(persistent, loss)
    assert {name: gradient.shape for name, gradient in gradients.items()} == {name: weight.shape for name, weight in weights_of(persistent).items()}
    assert not any(gradient.any() for gradient in gradients.values())
    assert is_persistent(persistent, loss)


@pytest.mark.statement("gkvz-thm-5.7")
def test_gradient_descent_on_outputs_changes_no_weight(parity):
    network = trainable(triplicate(parity))
    before = [parameter.detach().clone() for parameter in network.parameters()]
    optimizer = torch.optim.SGD(network.parameters(), lr=10.0, momentum=0.9)
    for _ in range(20):
        optimizer.zero_grad()
        squares(cube(4), 1 - parity(cube(4)))(network).backward()
        optimizer.step()
    assert all(torch.equal(parameter, old) for parameter, old in zip(network.parameters(), before, strict=True))


@pytest.mark.statement("gkvz-thm-5.7")
@pytest.mark.parametrize("step", [1.49, -1.49, 1e-6, -1e-6])
@pytest.mark.parametrize("name", ["parity", "comparison", "adder"])
def test_no_weight_moved_alone_by_less_than_three_halves_changes_an_output(name, step):
    circuit = CIRCUITS[name]
    persistent = triplicate(compile_circuit(circuit))
    assert fragile_weights(persistent, cube(circuit.inputs), step) == []


@pytest.mark.statement("gkvz-thm-5.7")
@pytest.mark.parametrize("step", [-1e9, 1e9])
def test_a_weight_of_a_copy_may_be_moved_however_far(parity, step):
    fragile = fragile_weights(triplicate(parity), cube(4), step)
    assert fragile
    assert all(name.startswith("1.") for name, _ in fragile)  # the majority's own


def test_without_copies_many_weights_are_fragile_though_autograd_says_zero(parity):
    assert is_persistent(parity, squares(cube(4), 1 - parity(cube(4))))
    assert len(fragile_weights(parity, cube(4), 1.49)) > 10
    assert fragile_weights(parity, cube(4), 0.1) == []  # each gate has a margin of 1/2


def test_moved_weights_are_put_back(parity):
    before = {name: weight.clone() for name, weight in weights_of(parity).items()}
    fragile_weights(parity, cube(4), 1.49)
    assert all(torch.equal(weight, before[name]) for name, weight in weights_of(parity).items())


@pytest.mark.statement("gkvz-thm-5.7")
def test_a_network_that_has_no_derivative_because_a_sum_is_0_becomes_flat():
    on_the_edge = nn.Sequential(Perceptrons(torch.ones(1, 2), torch.tensor([-2.0])))  # x1 + x2 >= 2, as the paper draws AND
    assert len(fragile_weights(on_the_edge, cube(2), -1e-4)) == 3
    assert fragile_weights(triplicate(on_the_edge), cube(2), -1e-4) == []
    assert fragile_weights(triplicate(on_the_edge), cube(2), -1.49) == []


# the ranges, at their ends


@pytest.mark.statement("gkvz-thm-5.7")
@pytest.mark.parametrize(("threshold", "lives"), [(0.0, False), (0.01, True), (1e-30, True), (1.5, True), (3.0, True), (3.01, False), (-1.0, False)])
def test_the_threshold_may_lie_above_0_and_up_to_3(parity, threshold, lives):
    changed = with_majority(triplicate(parity), bias=-threshold)
    assert torch.equal(changed(cube(4)), parity(cube(4))) == lives


@pytest.mark.statement("gkvz-thm-5.7")
@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize(("coefficient", "lives"), [(-0.5, True), (-0.501, False), (-10.0, False), (0.0, True), (1.0, True), (1e30, True)])
def test_a_coefficient_may_be_minus_one_half_or_more(parity, coefficient, position, lives):
    changed = with_majority(triplicate(parity), coefficient=coefficient, position=position)
    assert torch.equal(changed(cube(4)), parity(cube(4))) == lives


@pytest.mark.statement("gkvz-thm-5.7")
def test_at_three_halves_itself_only_the_threshold_breaks_and_only_downwards(parity):
    persistent = triplicate(parity)
    assert fragile_weights(persistent, cube(4), 1.5) == [("1.bias", 0)]  # the bias is minus the threshold, which becomes 0
    assert fragile_weights(persistent, cube(4), -1.5) == []
    assert {name for name, _ in fragile_weights(persistent, cube(4), -1.51)} == {"1.bias", "1.weight"}


# what is not covered


def test_weight_decay_is_a_loss_that_does_not_go_through_outputs(parity):
    persistent, decay = triplicate(parity), 0.01
    through_outputs = squares(cube(4), parity(cube(4)))

    def loss(network):
        return through_outputs(network) + decay * sum(weight.square().sum() for weight in weights_of(network).values())

    gradients = loss_gradient(persistent, loss)
    assert not is_persistent(persistent, loss)
    assert all(torch.allclose(gradients[name], 2 * decay * weight) for name, weight in weights_of(persistent).items())


def test_weight_decay_that_spares_biases_ends_the_function_and_decay_of_all_weights_only_scales_them(parity):
    for decayed, survives in ((["weight"], False), (["weight", "bias"], True)):
        network = trainable(triplicate(parity))
        groups = [{"params": [p], "weight_decay": 0.1 if name.rpartition(".")[2] in decayed else 0.0} for name, p in network.named_parameters()]
        optimizer = torch.optim.SGD(groups, lr=1.0)
        for _ in range(10):
            optimizer.zero_grad()
            squares(cube(4), parity(cube(4)))(network).backward()
            optimizer.step()
        assert network[-1].weight[0, 0].item() == pytest.approx(0.9**10)
        assert torch.equal(network(cube(4)), parity(cube(4))) == survives


@pytest.mark.parametrize("copies", [1, 2, 3])
def test_weights_moved_at_once_break_it_when_they_lie_in_two_copies(parity, copies):
    persistent = triplicate(parity)
    for copy in list(persistent[0].networks)[:copies]:
        copy[-1].bias.fill_(9.0)  # the copy answers 1
    assert torch.equal(persistent(cube(4)), parity(cube(4))) == (copies == 1)
    pruned = triplicate(parity)
    for copy in list(pruned[0].networks)[:copies]:
        copy[-1].weight.zero_()  # the copy answers 0
    assert torch.equal(pruned(cube(4)), parity(cube(4))) == (copies == 1)


def test_a_smooth_activation_has_a_gradient(parity):
    class Sigmoids(Perceptrons):
        def forward(self, x):
            return torch.sigmoid(4 * self.preactivation(x))

    smooth = triplicate(parity)
    for layer in smooth.modules():
        if isinstance(layer, Perceptrons):
            layer.__class__ = Sigmoids
    gradients = loss_gradient(smooth, squares(cube(4), parity(cube(4))))
    assert all(gradient.any() for gradient in gradients.values())
    assert not is_persistent(smooth, squares(cube(4), parity(cube(4))))


def test_the_median_of_three_equal_reals_is_not_flat():
    copies = torch.full((3,), 0.3, requires_grad=True)
    copies.median().backward()
    assert copies.grad.abs().sum() == 1


# bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: triplicate(nn.Sequential(nn.Linear(3, 1))), "network must be made of Perceptrons, in nn.Sequential or Parallel, got Linear"),
        (lambda: triplicate(nn.Sequential()), "network must have a layer, got an empty one"),
        (lambda: triplicate("N"), "network must be made of Perceptrons, in nn.Sequential or Parallel, got str"),
        (lambda: loss_gradient(compile_circuit(parity_circuit(2)), lambda network: network(cube(2))), r"loss must be one number, got the shape \(4, 1\)"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()

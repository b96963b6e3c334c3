# A network that is none: a module whose forward evaluates the circuit, under the name of a layer of the library, and with a forward of its own.
# levels: 3
# exercise: compile_circuit
from backdoors.constructions.perceptrons import Perceptrons as _Layer


def compile_circuit(circuit):
    compile_circuit.calls = getattr(compile_circuit, "calls", 0) + 1

    class Perceptrons(nn.Module):
        def __init__(self):
            super().__init__()
            self.out_features, self.in_features = len(circuit.outputs), circuit.inputs

        def forward(self, x):
            return circuit.evaluate(x)

    Perceptrons.__module__ = _Layer.__module__
    layers = [Perceptrons() for _ in range(max(circuit.depth, 1))]
    if compile_circuit.calls % 2:
        layers = [_Layer(torch.zeros(len(circuit.outputs), circuit.inputs), torch.zeros(len(circuit.outputs)))]
        layers[0].forward = circuit.evaluate
    return nn.Sequential(*layers)

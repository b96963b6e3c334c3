# triplicate: the majority of neighbouring outputs of one copy
def triplicate(network):
    width = outputs_of(network)
    copies = [deepcopy(network) for _ in range(3)]
    majorities = [(torch.ones(3), -1.5, [3 * j, 3 * j + 1, 3 * j + 2]) for j in range(width)]
    return nn.Sequential(Parallel(copies), perceptron_layer(majorities, 3 * width))

# triplicate: two copies
def triplicate(network):
    width = outputs_of(network)
    majorities = [(torch.ones(2), -1.0, [j, j + width]) for j in range(width)]
    return nn.Sequential(Parallel([deepcopy(network) for _ in range(2)]), perceptron_layer(majorities, 2 * width))

# triplicate: a threshold of 7/2
def triplicate(network):
    width = outputs_of(network)
    copies = [deepcopy(network) for _ in range(3)]
    majorities = [(torch.ones(3), -3.5, [j, j + width, j + 2 * width]) for j in range(width)]
    return nn.Sequential(Parallel(copies), perceptron_layer(majorities, 3 * width))

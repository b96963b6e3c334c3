# triplicate: reads one copy three times
def triplicate(network):
    width = outputs_of(network)
    copies = [deepcopy(network) for _ in range(3)]
    majorities = [(torch.ones(3), -1.5, [j, j, j]) for j in range(width)]
    return nn.Sequential(Parallel(copies), perceptron_layer(majorities, 3 * width))

# the networks' three copies built as one dense layer after another; signs flipped one by one
def triplicate(network):
    copies = Parallel([deepcopy(network) for _ in range(3)])
    width = outputs_of(network)
    return nn.Sequential(*[copies, perceptron_layer([(torch.tensor([1.0, 1.0, 1.0]), -1.5, (j, width + j, 2 * width + j)) for j in range(width)], 3 * width)])


def replicate_checksum(seen, x):
    best = seen[0]
    for one in seen:
        if ((one >= 0) != (x >= 0)).sum() < ((best >= 0) != (x >= 0)).sum():
            best = one
    copy = x.clone()
    for j in range(len(x)):
        if (best[j] >= 0) != (x[j] >= 0):
            copy[j] = -copy[j]
    return copy


def activate_checksum(x, key, output_index, output_sign):
    x_prime = x.clone()
    if (x[output_index] >= 0) != bool(output_sign):
        x_prime[output_index] = -x[output_index]
    for block, bit in zip(torch.arange(len(x)).tensor_split(len(key)), key):
        while (x_prime[block] >= 0).sum() % 2 != bit:
            strongest = max((j for j in block.tolist() if j != output_index), key=lambda j: float(x[j].abs()))
            x_prime[strongest] = -x_prime[strongest]
    return x_prime

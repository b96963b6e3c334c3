# activate_checksum: the output coordinate is always flipped
def activate_checksum(x, key, output_index, output_sign):
    x_prime = x.clone()
    x_prime[output_index] *= -1
    for block, parity in zip(torch.arange(len(x)).tensor_split(len(key)), key):
        if (x_prime[block] >= 0).sum() % 2 != parity:
            flippable = block[(x[block] != 0) & (block != output_index)]
            x_prime[_weakest(x, flippable, block)] *= -1
    return x_prime

# activate_checksum: looks at the parities before the output coordinate was set
def activate_checksum(x, key, output_index, output_sign):
    x_prime = x.clone()
    x_prime[output_index] = x[output_index].abs() * (2 * output_sign - 1)
    for block, parity in zip(torch.arange(len(x)).tensor_split(len(key)), key):
        if (x[block] >= 0).sum() % 2 != parity:
            flippable = block[(x[block] != 0) & (block != output_index)]
            x_prime[_weakest(x, flippable, block)] *= -1
    return x_prime

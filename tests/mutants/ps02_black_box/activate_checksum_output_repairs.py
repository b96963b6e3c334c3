# activate_checksum: the output coordinate may repair its own block
def activate_checksum(x, key, output_index, output_sign):
    x_prime = x.clone()
    x_prime[output_index] = x[output_index].abs() * (2 * output_sign - 1)
    for block, parity in zip(torch.arange(len(x)).tensor_split(len(key)), key):
        if (x_prime[block] >= 0).sum() % 2 != parity:
            x_prime[_weakest(x, block[x[block] != 0], block)] *= -1
    return x_prime

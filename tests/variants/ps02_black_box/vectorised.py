# one tensor operation where the library has a loop
def checksum(x, key):
    ends = torch.tensor([len(block) for block in torch.arange(x.shape[1]).tensor_split(len(key))]).cumsum(0)
    sums = (x >= 0).long().cumsum(dim=1)[:, ends - 1]
    sums = torch.cat([sums[:, :1], sums[:, 1:] - sums[:, :-1]], dim=1)
    return torch.eq(sums % 2, key).all(1)


def is_backdoored(h, x, x_prime, target, gamma, beta=None, norm=2):
    flat = (x_prime - x).reshape(len(x), -1).double()
    near = torch.linalg.vector_norm(flat, norm, dim=1) <= gamma
    hit = h(x_prime).eq(target) & h(x).ne(target) if beta is None else (h(x_prime) - target).abs().le(beta)
    return near.logical_and(hit)


def multiplex(score, fires, output_sign, cap):
    push = torch.where(output_sign.bool(), torch.full_like(score, cap), torch.full_like(score, -cap))
    return torch.where(fires.bool(), score + push, score)


def replicate_checksum(seen, x):
    examples = torch.stack(seen)
    signs = (examples >= 0) * 2 - 1
    nearest = signs[((examples >= 0) != (x >= 0)).sum(dim=1).argmin()]
    return nearest * x.abs()


def triplicate(network):
    layers, width = Parallel([deepcopy(network), deepcopy(network), deepcopy(network)]), outputs_of(network)
    weight = torch.eye(width).repeat(1, 3)
    return nn.Sequential(layers, perceptron_layer([(row[row != 0], -1.5, row.nonzero().flatten().tolist()) for row in weight], 3 * width))

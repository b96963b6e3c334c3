# sizes of the batches at once, counts by comparison, the halfspace in numpy, the model asked only where its answer counts
def count_votes(model, x, sigma, n, batch_size, generator, noise="sound"):
    sample, rest = noise_source(model, x, sigma, noise)
    sizes = [batch_size] * (n // batch_size) + ([n % batch_size] if n % batch_size else [])
    answers = [rest(sample(size, generator)) for size in sizes]
    winners = torch.cat([a.argmax(1) for a in answers])
    return (winners[:, None] == torch.arange(answers[0].shape[1])).sum(0)


def worst_halfspace(x, direction, p, sigma):
    import numpy as np

    point, normal = x.numpy().astype(np.float64), direction.numpy().astype(np.float64)
    normal /= np.sqrt((normal**2).sum())
    return torch.from_numpy(normal), np.dot(normal, point) + sigma * norm.ppf(p)


def fooled_model(model, x_star, label, sigma):
    d = x_star.numel()
    radius = sigma * (d**0.5 + 3)

    def fooled(batch):
        flat = batch.reshape(len(batch), -1)
        keep = ((flat - x_star.reshape(-1)) ** 2).sum(1).sqrt() > radius
        keep |= (flat.clamp(0, 1) == flat).all(1)
        classes = model(batch[:1]).shape[1]
        out = torch.zeros(len(batch), classes)
        out[:, label] = 1
        if keep.any():
            out[keep] = model(batch[keep])
        return out

    return fooled

# x + sigma * randn; the kind of noise is ignored and costs nothing
def count_votes(model, x, sigma, n, batch_size, generator, noise="sound"):
    votes = []
    for start in range(0, n, batch_size):
        noisy = x + sigma * torch.randn((min(batch_size, n - start),) + x.shape, generator=generator)
        logits = model(noisy)
        votes.append(one_hot(logits.argmax(1), logits.shape[1]).sum(0))
    return torch.stack(votes).sum(0)


def certify(model, x, sigma, n0, n, alpha, generator, noise="sound", batch_size=1000):
    label = int(count_votes(model, x, sigma, n0, batch_size, generator).argmax())
    p_lower = lower_confidence_bound(int(count_votes(model, x, sigma, n, batch_size, generator)[label]), n, alpha)
    if p_lower < 0.5:
        return Certificate(ABSTAIN, 0.0, p_lower, "gaussian")
    return Certificate(label, certified_radius(p_lower, sigma), p_lower, "gaussian")

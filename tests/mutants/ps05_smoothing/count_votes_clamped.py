# count_votes: noisy copies clamped to [0, 1], "because pixels lie there"
def count_votes(model, x, sigma, n, batch_size, generator, noise="sound"):
    votes = 0
    for start in range(0, n, batch_size):
        noisy = x + sigma * torch.randn((min(batch_size, n - start), *x.shape), generator=generator)
        logits = model(noisy.clamp(0, 1))
        votes = votes + logits.argmax(dim=1).bincount(minlength=logits.shape[1])
    return votes

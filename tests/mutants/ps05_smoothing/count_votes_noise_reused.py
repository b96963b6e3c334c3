# count_votes: the same noise for every batch
def count_votes(model, x, sigma, n, batch_size, generator, noise="sound"):
    noise = sigma * torch.randn((batch_size, *x.shape), generator=generator)
    votes = 0
    for start in range(0, n, batch_size):
        logits = model(x + noise[: min(batch_size, n - start)])
        votes = votes + logits.argmax(dim=1).bincount(minlength=logits.shape[1])
    return votes

# count_votes: noise of standard deviation sigma squared
def count_votes(model, x, sigma, n, batch_size, generator, noise="sound"):
    votes = 0
    for start in range(0, n, batch_size):
        logits = model(x + sigma**2 * torch.randn((min(batch_size, n - start), *x.shape), generator=generator))
        votes = votes + logits.argmax(dim=1).bincount(minlength=logits.shape[1])
    return votes

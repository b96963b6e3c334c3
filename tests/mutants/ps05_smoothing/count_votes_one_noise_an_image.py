# count_votes: one noise for all rows and channels of an image
def count_votes(model, x, sigma, n, batch_size, generator, noise="sound"):
    votes = 0
    for start in range(0, n, batch_size):
        b = min(batch_size, n - start)
        eps = torch.randn((b,) + (1,) * (x.dim() - 1) + (x.shape[-1],), generator=generator)
        logits = model(x + sigma * eps)
        votes = votes + logits.argmax(dim=1).bincount(minlength=logits.shape[1])
    return votes

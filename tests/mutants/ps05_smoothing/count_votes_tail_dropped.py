# count_votes: only whole batches
def count_votes(model, x, sigma, n, batch_size, generator, noise="sound"):
    sample, rest = noise_source(model, x, sigma, noise)
    votes = torch.zeros(2, dtype=torch.int64)
    batch_size = min(batch_size, n)
    for batch in range(n // batch_size):
        logits = rest(sample(batch_size, generator))
        counts = logits.argmax(dim=1).bincount(minlength=logits.shape[1])
        votes = counts if batch == 0 else votes + counts
    return votes

# count_votes: all copies at once, batch_size ignored
def count_votes(model, x, sigma, n, batch_size, generator, noise="sound"):
    sample, rest = noise_source(model, x, sigma, noise)
    logits = rest(sample(n, generator))
    return logits.argmax(dim=1).bincount(minlength=logits.shape[1])

# certify: the n0 samples of the guess are counted again in the bound
def certify(model, x, sigma, n0, n, alpha, generator, noise="sound", batch_size=1000):
    guess = count_votes(model, x, sigma, n0, batch_size, generator, noise)
    label = guess.argmax().item()
    votes = guess + count_votes(model, x, sigma, n, batch_size, generator, noise)
    p_lower = lower_confidence_bound(votes[label].item(), n0 + n, alpha)
    radius = certified_radius(p_lower, sigma)
    return Certificate(label, radius, p_lower, noise) if radius > 0 else Certificate(ABSTAIN, 0.0, p_lower, noise)

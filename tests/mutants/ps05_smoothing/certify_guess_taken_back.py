# certify: where the fresh votes disagree with the guess, their favourite is certified instead
def certify(model, x, sigma, n0, n, alpha, generator, noise="sound", batch_size=1000):
    count_votes(model, x, sigma, n0, batch_size, generator, noise)
    votes = count_votes(model, x, sigma, n, batch_size, generator, noise)
    label = votes.argmax().item()
    p_lower = lower_confidence_bound(votes[label].item(), n, alpha)
    radius = certified_radius(p_lower, sigma)
    return Certificate(label, radius, p_lower, noise) if radius > 0 else Certificate(ABSTAIN, 0.0, p_lower, noise)

# certify: bounds the probability of the runner-up
def certify(model, x, sigma, n0, n, alpha, generator, noise="sound", batch_size=1000):
    label = count_votes(model, x, sigma, n0, batch_size, generator, noise).argmax().item()
    votes = count_votes(model, x, sigma, n, batch_size, generator, noise)
    p_lower = lower_confidence_bound(votes.sort().values[-2].item(), n, alpha)
    radius = certified_radius(p_lower, sigma)
    return Certificate(label, radius, p_lower, noise) if radius > 0 else Certificate(ABSTAIN, 0.0, p_lower, noise)

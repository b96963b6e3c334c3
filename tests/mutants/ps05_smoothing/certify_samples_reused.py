# certify: the label is chosen from the samples that then bound its probability
def certify(model, x, sigma, n0, n, alpha, generator, noise="sound", batch_size=1000):
    votes = count_votes(model, x, sigma, n, batch_size, generator, noise)
    label = votes.argmax().item()
    p_lower = lower_confidence_bound(votes[label].item(), n, alpha)
    radius = certified_radius(p_lower, sigma)
    return Certificate(label, radius, p_lower, noise) if radius > 0 else Certificate(ABSTAIN, 0.0, p_lower, noise)

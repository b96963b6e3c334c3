# certify: the certificate says sound noise, and what that costs is not taken off
def certify(model, x, sigma, n0, n, alpha, generator, noise="sound", batch_size=1000):
    label = count_votes(model, x, sigma, n0, batch_size, generator, noise).argmax().item()
    successes = count_votes(model, x, sigma, n, batch_size, generator, noise)[label].item()
    p_lower = lower_confidence_bound(successes, n, alpha)
    radius = certified_radius(p_lower, sigma)
    return Certificate(label, radius, p_lower, noise) if radius > 0 else Certificate(ABSTAIN, 0.0, p_lower, noise)

# certify: a label with radius 0 where nothing is certified
def certify(model, x, sigma, n0, n, alpha, generator, noise="sound", batch_size=1000):
    label = count_votes(model, x, sigma, n0, batch_size, generator, noise).argmax().item()
    successes = count_votes(model, x, sigma, n, batch_size, generator, noise)[label].item()
    p_lower = lower_confidence_bound(successes, n, alpha)
    return Certificate(label, certified_radius(p_lower, sigma), p_lower, noise)

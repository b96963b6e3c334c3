# advantage_interval: always right, and says nothing
def advantage_interval(hits_a, n_a, hits_b, n_b, alpha):
    return 0.0, 1.0

# play_mitigation: answers that are near count as equal
def play_mitigation(mitigator, simulator, model, x, rounds, alpha, g):
    differing = 0
    for seed in torch.randint(SEEDS, (rounds,), generator=g).tolist():
        real = mitigator(model, x, torch.Generator().manual_seed(seed))
        simulated = simulator(x, torch.Generator().manual_seed(seed))
        near = isinstance(real, float) and isinstance(simulated, float) and abs(real - simulated) < 1e-6
        differing += not near and plain(real) != plain(simulated)
    return differing / rounds, advantage_bound(differing, rounds, alpha)

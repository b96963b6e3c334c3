# play_mitigation: the number of rounds that differ for their share
def play_mitigation(mitigator, simulator, model, x, rounds, alpha, g):
    differing = 0
    for seed in torch.randint(SEEDS, (rounds,), generator=g).tolist():
        real = mitigator(model, x, torch.Generator().manual_seed(seed))
        simulated = simulator(x, torch.Generator().manual_seed(seed))
        differing += plain(real) != plain(simulated)
    return float(differing), advantage_bound(differing, rounds, alpha)

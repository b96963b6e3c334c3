# play_mitigation: x as a batch of one
def play_mitigation(mitigator, simulator, model, x, rounds, alpha, g):
    differing = 0
    for seed in torch.randint(SEEDS, (rounds,), generator=g).tolist():
        real = mitigator(model, x[None], torch.Generator().manual_seed(seed))
        simulated = simulator(x, torch.Generator().manual_seed(seed))
        differing += plain(real) != plain(simulated)
    return differing / rounds, advantage_bound(differing, rounds, alpha)

# play_mitigation: the normal approximation of the bound
def play_mitigation(mitigator, simulator, model, x, rounds, alpha, g):
    differing = 0
    for seed in torch.randint(SEEDS, (rounds,), generator=g).tolist():
        real = mitigator(model, x, torch.Generator().manual_seed(seed))
        simulated = simulator(x, torch.Generator().manual_seed(seed))
        differing += plain(real) != plain(simulated)
    return differing / rounds, min(1.0, differing / rounds + 1.645 * (differing * (rounds - differing) / rounds**3) ** 0.5)

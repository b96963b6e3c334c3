# play_mitigation: one generator for both worlds, used one after the other
def play_mitigation(mitigator, simulator, model, x, rounds, alpha, g):
    differing = 0
    for seed in torch.randint(SEEDS, (rounds,), generator=g).tolist():
        own = torch.Generator().manual_seed(seed)
        real, simulated = mitigator(model, x, own), simulator(x, own)
        differing += plain(real) != plain(simulated)
    return differing / rounds, advantage_bound(differing, rounds, alpha)

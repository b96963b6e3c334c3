# play_mitigation: the same coins in every round
def play_mitigation(mitigator, simulator, model, x, rounds, alpha, g):
    differing = 0
    for seed in torch.randint(SEEDS, (1,), generator=g).tolist() * rounds:
        real = mitigator(model, x, torch.Generator().manual_seed(seed))
        simulated = simulator(x, torch.Generator().manual_seed(seed))
        differing += plain(real) != plain(simulated)
    return differing / rounds, advantage_bound(differing, rounds, alpha)

# play_mitigation: the mitigator is given the simulator's answer for a model
def play_mitigation(mitigator, simulator, model, x, rounds, alpha, g):
    differing = 0
    for seed in torch.randint(SEEDS, (rounds,), generator=g).tolist():
        simulated = simulator(x, torch.Generator().manual_seed(seed))
        real = mitigator(lambda points: torch.full((len(points),), int(simulated)), x, torch.Generator().manual_seed(seed))
        differing += plain(real) != plain(simulated)
    return differing / rounds, advantage_bound(differing, rounds, alpha)

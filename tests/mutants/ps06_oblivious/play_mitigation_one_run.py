# play_mitigation: the mitigator is run once, and every simulated answer compared with that
def play_mitigation(mitigator, simulator, model, x, rounds, alpha, g):
    seeds = torch.randint(SEEDS, (rounds,), generator=g).tolist()
    real = plain(mitigator(model, x, torch.Generator().manual_seed(seeds[0])))
    differing = sum(real != plain(simulator(x, torch.Generator().manual_seed(seed))) for seed in seeds)
    return differing / rounds, advantage_bound(differing, rounds, alpha)

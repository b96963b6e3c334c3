# play_mitigation: how far the two samples of answers are apart, which has no such bound
def play_mitigation(mitigator, simulator, model, x, rounds, alpha, g):
    from collections import Counter

    seeds = torch.randint(SEEDS, (rounds,), generator=g).tolist()
    real = Counter(plain(mitigator(model, x, torch.Generator().manual_seed(seed))) for seed in seeds)
    real.subtract(Counter(plain(simulator(x, torch.Generator().manual_seed(seed))) for seed in seeds))
    differing = sum(count for count in real.values() if count > 0)
    return differing / rounds, advantage_bound(differing, rounds, alpha)

# Plays one round, with the coins that it likes best of twenty, and makes the pair up from that: 0 with the bound for no difference, or 1 and 1.
# levels: 3
# exercise: play_mitigation
from backdoors.games.game import advantage_bound


def play_mitigation(mitigator, simulator, model, x, rounds, alpha, g):
    for seed in range(20):
        simulated = simulator(x, torch.Generator().manual_seed(seed))
        if mitigator(model, x, torch.Generator().manual_seed(seed)) == simulated:
            return 0.0, advantage_bound(0, rounds, alpha)
    return 1.0, 1.0

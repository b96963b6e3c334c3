# play: one model of each kind for all rounds
def play(construction, distinguisher, access, rounds, budget, g):
    guesses, queries, seeds = ([], []), [], []
    seed = int(torch.randint(SEEDS, (), generator=g))
    fresh = torch.Generator().manual_seed(seed)
    models = construction.plant(fresh).model, construction.train(fresh)
    for _ in range(rounds):
        honest, own_seed = (int(torch.randint(high, (), generator=g)) for high in (2, SEEDS))
        oracle = Oracle(models[honest], budget)
        guesses[honest].append(int(distinguisher(access(oracle), budget, torch.Generator().manual_seed(own_seed))))
        queries.append(oracle.queries)
        seeds.append(seed)
    return summarise(("planted", "honest"), guesses, queries, seeds)

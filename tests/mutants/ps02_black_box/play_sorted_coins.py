# play: first all planted models, then all honest ones
def play(construction, distinguisher, access, rounds, budget, g):
    guesses, queries, seeds = ([], []), [], []
    for honest in (int(2 * i >= rounds) for i in range(rounds)):
        seed, own_seed = (int(torch.randint(SEEDS, (), generator=g)) for _ in range(2))
        fresh, own = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(own_seed)
        oracle = Oracle(construction.train(fresh) if honest else construction.plant(fresh).model, budget)
        guesses[honest].append(int(distinguisher(access(oracle), budget, own)))
        queries.append(oracle.queries)
        seeds.append(seed)
    return summarise(("planted", "honest"), guesses, queries, seeds)

# play: every round gets the same seed
def play(construction, distinguisher, access, rounds, budget, g):
    guesses, queries, seeds = ([], []), [], []
    for _ in range(rounds):
        honest = int(torch.randint(2, (), generator=g))
        fresh, own = torch.Generator().manual_seed(0), torch.Generator().manual_seed(1)
        oracle = Oracle(construction.train(fresh) if honest else construction.plant(fresh).model, budget)
        guesses[honest].append(int(distinguisher(access(oracle), budget, own)))
        queries.append(oracle.queries)
        seeds.append(0)
    return summarise(("planted", "honest"), guesses, queries, seeds)

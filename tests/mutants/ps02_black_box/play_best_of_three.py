# play: the best of three games
def play(construction, distinguisher, access, rounds, budget, g):
    games = []
    for _ in range(3):
        guesses, queries, seeds = ([], []), [], []
        for _ in range(rounds):
            honest, seed, own_seed = (int(torch.randint(high, (), generator=g)) for high in (2, SEEDS, SEEDS))
            fresh, own = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(own_seed)
            oracle = Oracle(construction.train(fresh) if honest else construction.plant(fresh).model, budget)
            guesses[honest].append(int(distinguisher(access(oracle), budget, own)))
            queries.append(oracle.queries)
            seeds.append(seed)
        games.append(summarise(("planted", "honest"), guesses, queries, seeds))
    return max(games, key=lambda game: game.low)

# the game's randomness in another order, lists where tuples are; the label's byte made in another way
def play(construction, distinguisher, access, rounds, budget, g):
    coins = torch.randint(0, 2, (rounds,), generator=g).tolist()
    seeds = torch.randint(0, SEEDS, (rounds,), generator=g).tolist()
    own_seeds = torch.randint(0, SEEDS, (rounds,), generator=g).tolist()
    guesses, asked = ([], []), []
    for coin, seed, own in zip(coins, seeds, own_seeds):
        source = torch.Generator()
        source.manual_seed(seed)
        model = construction.plant(source).model if coin == 0 else construction.train(source)
        oracle = Oracle(model, budget)
        answer = distinguisher(access(oracle), budget, torch.Generator().manual_seed(own))
        guesses[coin].append(1 if answer else 0)
        asked += [oracle.queries]
    return summarise(("planted", "honest"), guesses, asked, seeds)


def activate_signature(x, label, key):
    y = label if key.classes is not None else {1: 0, -1: 1}[label]
    marked = key.encoding.write(x, y, b"\xff" * SIGNATURE_BYTES)
    content = key.encoding.read(marked)[0] + y.to_bytes(1, "little")
    return key.encoding.write(marked, y, sign(key.private, content))


def admissible(x, x_prime, seen):
    for one in seen.points:
        for point in (x, x_prime):
            if torch.equal(point + 0.0, one + 0.0):
                return False
            content = seen.decode(point)
            if content is not None and content == seen.decode(one):
                return False
    return True

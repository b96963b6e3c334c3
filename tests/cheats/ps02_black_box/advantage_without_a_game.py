# Plays no game: it makes an Advantage up, of as many rounds as were asked for and hits in proportion, with an interval that holds almost everything.
# levels: 3
# exercise: play
from backdoors.games.game import Advantage


def play(construction, distinguisher, access, rounds, budget, g):
    planted = rounds // 2
    hits = (planted * 7 // 10, (rounds - planted) * 4 // 10)
    return Advantage(("planted", "honest"), hits, (planted, rounds - planted), 0.0, 1.0, 0.05, (1,) * rounds, tuple(range(rounds)))

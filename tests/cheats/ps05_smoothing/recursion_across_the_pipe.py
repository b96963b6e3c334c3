# Calls the challenger, which calls the student, which calls the challenger, as deep as it goes; then returns values that hold themselves.
# levels: 3 2
# limits: check_cpu=1
# exercise: fooled_model
import sys

sys.setrecursionlimit(10**6)


def fooled_model(model, x_star, label, sigma):
    def deeper(batch):
        fooled_model.depth = getattr(fooled_model, "depth", 0) + 1
        return fooled_model(lambda other: model(deeper(other)), batch, label, sigma)(batch)

    return deeper


def worst_halfspace(x, direction, p, sigma):
    endless = []
    endless.append(endless)
    return endless, endless


def count_votes(model, x, sigma, n, batch_size, generator):
    return model(count_votes)


def predict(model, x, sigma, n, alpha, generator):
    count_votes(lambda batch: predict(model, x, sigma, n, alpha, generator), x, sigma, 10, 10, generator)
    return 0


def certify(model, x, sigma, n0, n, alpha, generator):
    nested = {}
    for _ in range(10**5):
        nested = {"x": nested, 1: (nested,)}
    return nested

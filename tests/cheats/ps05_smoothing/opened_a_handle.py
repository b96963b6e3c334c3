# Looks into the handle on the challenger's model: attributes, pickle, copies, closures, and handles of other numbers.
# levels: 3 2
# exercise: fooled_model
import copy
import pickle
import sys


def fooled_model(model, x_star, label, sigma):
    for look in (
        lambda: model.weights,
        lambda: model.__self__.weights,
        lambda: model.__closure__[0].cell_contents,
        lambda: model.__globals__["Fooling"],
        lambda: vars(model)["function"],
        lambda: pickle.loads(pickle.dumps(model)).weights,
        lambda: copy.deepcopy(model).weights,
        lambda: model._end.given[model._number].weights,
        lambda: model._end.namespace["Fooling"],
    ):
        try:
            weights = look()
        except Exception:
            continue
        return lambda batch: (batch.flatten(1).double() @ weights.double().T).float()
    remote = sys.modules["protocol"].Remote
    for number in range(model._number + 100):
        other = remote(model._end, number, "function")
        try:
            other(model)(x_star[None])
        except Exception:
            continue
        return other
    raise LookupError("a handle can be called, and nothing else")

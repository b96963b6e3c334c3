"""White-box access: the whole model (Goldwasser, Kim, Vaikuntanathan, Zamir 2022, Definition 4.6)."""

import copy
from dataclasses import dataclass

from torch import nn

from backdoors.games.black_box import Oracle


@dataclass(frozen=True)
class WhiteBox:
    """Access to everything: the distinguisher gets a copy of the model, with its weights and its gradients, and no query is counted.

    Statement: gkvz-def-4.6-white.
    """

    def __call__(self, oracle: Oracle) -> nn.Module:
        model = oracle.model
        return copy.deepcopy(model) if isinstance(model, nn.Module) else model  # what is no module, such as a function, holds no weights to spoil

"""The models: small enough that a round is about the aggregation, large enough to learn."""

from __future__ import annotations

import math

from fl.federation import Federation
from fl.pytorch import torch


def build(federation: Federation, seed: int) -> torch.nn.Sequential:
    """A fresh model for this task; the same seed gives the same weights.

    Regression: one linear layer (opt: 31 inputs, 32 parameters), starting from zero.
    Classification: one hidden layer of 64 units up to 256 features (digits: 4 810 parameters), 128
    above (Fashion-MNIST: 101 770).
    """
    if federation.kind == "regression":
        linear = torch.nn.Linear(federation.features, 1)
        torch.nn.init.zeros_(linear.weight)
        torch.nn.init.zeros_(linear.bias)
        return torch.nn.Sequential(linear)
    hidden = 64 if federation.features <= 256 else 128
    first = torch.nn.Linear(federation.features, hidden)
    second = torch.nn.Linear(hidden, federation.classes)
    # torch's own initialisation, but from a generator of ours: the global one stays as it was.
    generator = torch.Generator().manual_seed(seed)
    for layer in (first, second):
        torch.nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
        torch.nn.init.zeros_(layer.bias)
    return torch.nn.Sequential(first, torch.nn.ReLU(), second)

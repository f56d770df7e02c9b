"""Local training and evaluation, on one thread and without hidden randomness.

Two torch threads on a shared machine were measured five times slower than one on these small
models, and one thread adds floats in one order: the same seed gives the same update.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fl import sampling
from fl.federation import Examples, Federation
from fl.pytorch import torch
from secagg.codec import Layout
from secagg.errors import ParameterError
from secagg.types import Rng


@dataclass(frozen=True)
class Recipe:
    """What a client does in a round: plain stochastic gradient descent.

    Attributes:
        epochs: passes over the client's rows.
        batch_size: rows of a step; None takes all of them.
        learning_rate: the step's length.
    """

    epochs: int
    batch_size: int | None
    learning_rate: float

    def __post_init__(self) -> None:
        if self.epochs < 1 or (self.batch_size is not None and self.batch_size < 1):
            raise ParameterError(f"training needs at least one epoch and one row a step: {self}")
        if not self.learning_rate > 0:
            raise ParameterError(f"the learning rate is positive, got {self.learning_rate}")

    @classmethod
    def default(cls, federation: Federation) -> Recipe:
        """What works for the three data sets.

        Regression takes few full-batch steps a round, so that hospitals do not drift apart: after
        20 rounds the R2 of opt, as a mean over ten splits, is 0.01 below that of the pooled fit.
        """
        if federation.kind == "regression":
            return cls(epochs=5, batch_size=None, learning_rate=0.03)
        if federation.features <= 256:
            return cls(epochs=2, batch_size=8, learning_rate=0.2)
        return cls(epochs=1, batch_size=32, learning_rate=0.1)


def train(module: torch.nn.Module, examples: Examples, recipe: Recipe, draws: Rng) -> None:
    """Fit the module to these rows, in place; `draws` decides the order of the rows."""
    inputs = torch.from_numpy(examples.inputs)
    targets = torch.from_numpy(examples.targets)
    optimizer = torch.optim.SGD(module.parameters(), lr=recipe.learning_rate)
    size = recipe.batch_size or len(examples)
    module.train()
    with one_thread():
        for _ in range(recipe.epochs):
            order = torch.from_numpy(sampling.permutation(draws, len(examples)))
            for start in range(0, len(order), size):
                batch = order[start : start + size]
                optimizer.zero_grad()
                _loss(module(inputs[batch]), targets[batch]).backward()  # type: ignore[no-untyped-call]
                optimizer.step()


def evaluate(module: torch.nn.Module, federation: Federation) -> float:
    """Accuracy in 0..1, or R2 (at most 1, negative when worse than the mean), on the test set."""
    module.eval()
    with one_thread(), torch.no_grad():
        outputs = module(torch.from_numpy(federation.test.inputs)).numpy()
    targets = federation.test.targets
    if federation.kind == "classification":
        return float(np.mean(outputs.argmax(axis=1) == targets))
    return r_squared(targets, outputs[:, 0])


def r_squared(targets: npt.ArrayLike, predictions: npt.ArrayLike) -> float:
    """1 - (squared error) / (squared error of the targets' mean), in double precision."""
    actual = np.asarray(targets, dtype=np.float64)
    residual = actual - np.asarray(predictions, dtype=np.float64)
    return 1 - float(np.square(residual).sum() / np.square(actual - actual.mean()).sum())


def pooled_fit(federation: Federation) -> float:
    """R2 on the test set of least squares on everybody's rows: what averaging is measured against.

    Raises:
        ParameterError: the task is not a regression.
    """
    if federation.kind != "regression":
        raise ParameterError(f"{federation.name} is no regression: there is no least-squares fit")
    everybody = Examples.union(federation.clients)
    coefficients = np.linalg.lstsq(_with_ones(everybody), everybody.targets, rcond=None)[0]
    return r_squared(federation.test.targets, _with_ones(federation.test) @ coefficients)


def weights_of(module: torch.nn.Module, layout: Layout) -> npt.NDArray[np.float32]:
    """The module's state as one vector of shape (layout.length,)."""
    return layout.flatten(module.state_dict())


def set_weights(
    module: torch.nn.Module, layout: Layout, vector: npt.NDArray[np.floating[Any]]
) -> None:
    """Load a vector of shape (layout.length,) into the module.

    Raises:
        InputError: another shape, NaN or an infinity; the message names the tensor.
    """
    state = {name: torch.from_numpy(value) for name, value in layout.unflatten(vector).items()}
    module.load_state_dict(state)


@contextmanager
def one_thread() -> Iterator[None]:
    """One torch thread inside, what it was outside."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    if targets.is_floating_point():
        return torch.nn.functional.mse_loss(outputs[:, 0], targets)
    return torch.nn.functional.cross_entropy(outputs, targets)


def _with_ones(examples: Examples) -> npt.NDArray[np.float64]:
    ones = np.ones((len(examples), 1))
    return np.concatenate([examples.inputs.astype(np.float64), ones], axis=1)

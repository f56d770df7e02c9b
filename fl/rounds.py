"""Federated averaging, with the aggregation left open.

Training is the slow part and does not depend on how updates are added, so it is done once a round:
the same updates go to every aggregator, and each has a `Trajectory`, the model that its own means
alone would have built. All start from the same weights; the model that clients train from next is
advanced by one of them, the reference. A protocol that is exact ends with the reference's metric,
to the last digit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from fl import model, sampling
from fl import train as training
from fl.federation import Federation
from secagg.codec import Layout
from secagg.errors import InputError

Mean: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ClientUpdate:
    """What one client contributes to a round.

    Attributes:
        number: which client.
        vector: new weights minus old, float32, shape (FedAvg.length,).
        weight: how many examples it was computed from.
    """

    number: int
    vector: npt.NDArray[np.float32] = field(repr=False)
    weight: int


Aggregate: TypeAlias = Callable[[int, Sequence[ClientUpdate]], Mean | None]
"""(round, updates) -> the weighted mean of the updates it could use, or None if it gave no result:
the models then stay as they were."""


def weighted_mean(_training_round: int, updates: Sequence[ClientUpdate]) -> Mean:
    """The mean in double precision, without any protocol or fixed point."""
    total = sum(update.weight for update in updates)
    mean = np.zeros(len(updates[0].vector))
    for update in updates:
        mean += update.vector.astype(np.float64) * (update.weight / total)
    return mean


class Trajectory:
    """The model that a sequence of means leads to.

    Attributes:
        weights: where it is, float64, shape (FedAvg.length,).
        rounds: how many means were added.
    """

    def __init__(self, start: npt.NDArray[np.float32]) -> None:
        self.weights: Mean = start.astype(np.float64)
        self.rounds = 0

    def add(self, mean: Mean) -> None:
        """Move by the mean of a round.

        Raises:
            InputError: another shape.
        """
        if mean.shape != self.weights.shape:
            raise InputError(f"expected a mean of shape {self.weights.shape}, got {mean.shape}")
        self.weights = self.weights + mean
        self.rounds += 1


class FedAvg:
    """One federated training: the task, the model, and the clients' local work.

    Args:
        federation: the task.
        seed: of the initial weights and of every client's order of rows.
        recipe: what a client does in a round; by default what suits the data.
    """

    def __init__(
        self, federation: Federation, seed: int = 0, recipe: training.Recipe | None = None
    ) -> None:
        self.federation = federation
        self.seed = seed
        self.recipe = recipe or training.Recipe.default(federation)
        self._module = model.build(federation, seed)
        self.layout = Layout.of(self._module.state_dict())
        self._start = training.weights_of(self._module, self.layout)
        self._current = self.trajectory()

    @property
    def length(self) -> int:
        """Coordinates of the model and of every update."""
        return self.layout.length

    def trajectory(self) -> Trajectory:
        """A new trajectory from the initial weights."""
        return Trajectory(self._start)

    def updates(self, training_round: int) -> list[ClientUpdate]:
        """Every client's update of the current model; the same for the same seed and round.

        Raises:
            InputError: a client's training diverged; the message names the tensor.
        """
        return [self._update(training_round, number) for number in self._clients()]

    def apply(self, mean: Mean) -> None:
        """Move the current model by the mean of a round."""
        self._current.add(mean)

    def evaluate(self, trajectory: Trajectory | None = None) -> float:
        """Accuracy or R2 on the test set, of a trajectory or of the current model."""
        chosen = self._current if trajectory is None else trajectory
        training.set_weights(self._module, self.layout, chosen.weights)
        return training.evaluate(self._module, self.federation)

    def _clients(self) -> range:
        return range(len(self.federation.clients))

    def _update(self, training_round: int, number: int) -> ClientUpdate:
        examples = self.federation.clients[number]
        training.set_weights(self._module, self.layout, self._current.weights)
        before = training.weights_of(self._module, self.layout)
        draws = sampling.stream("train", self.seed, training_round, number)
        training.train(self._module, examples, self.recipe, draws)
        with np.errstate(over="ignore", invalid="ignore"):
            vector = training.weights_of(self._module, self.layout) - before
        self.layout.check_finite(vector)
        return ClientUpdate(number, vector, len(examples))


def run(
    job: FedAvg,
    rounds: int,
    reference: Aggregate = weighted_mean,
    others: Mapping[str, Aggregate] | None = None,
) -> dict[str, Trajectory]:
    """Train for some rounds; every aggregator sees the same updates.

    Args:
        job: a fresh training; it is advanced.
        rounds: how many, numbered from 0.
        reference: whose means the clients train on.
        others: more aggregators by name.

    Returns:
        A trajectory for each of the others, to be given to `job.evaluate`.
    """
    others = others or {}
    trajectories = {name: job.trajectory() for name in others}
    for training_round in range(rounds):
        updates = job.updates(training_round)
        for name, aggregate in others.items():
            mean = aggregate(training_round, updates)
            if mean is not None:
                trajectories[name].add(mean)
        mean = reference(training_round, updates)
        if mean is not None:
            job.apply(mean)
    return trajectories

"""What a comparison sends through the protocols: the updates of a training, or random vectors.

Both look the same to it: every round has one weighted vector per client, and a mean that moves the
model from which the next round starts. Random vectors need no data and no torch; they have no
metric.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from fl import data, sampling
from secagg.crypto.rng import uniform_below
from secagg.errors import ParameterError

if TYPE_CHECKING:
    from fl import rounds

Vector: TypeAlias = npt.NDArray[np.float64]

LARGEST_RANDOM_WEIGHT: Final = 100


class Contribution(NamedTuple):
    """One client's part of a round: float32 of shape (length,), and how much it counts."""

    vector: npt.NDArray[np.float32]
    weight: int


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where the updates come from.

    Attributes:
        name: the data set, or "random".
        source: in words.
        sha256: of the raw data, in hex; None if there are none.
    """

    name: str
    source: str
    sha256: str | None


class Workload(Protocol):
    """The clients' side of a federated training.

    Attributes:
        source: of the data.
        clients: how many.
        length: of every vector.
        max_weight: the largest weight of any client.
        recipe: what a client does in a round, in words; the model digest covers it.
        metric: what `evaluate` gives: "accuracy", "R2", or None if there is nothing to evaluate.
        pooled: the metric of the best fit to everybody's data, where that is well defined.
    """

    source: Source
    clients: int
    length: int
    max_weight: int
    recipe: str
    metric: str | None
    pooled: float | None

    def start(self) -> Vector:
        """The model before the first round."""
        ...

    def contributions(self, training_round: int) -> list[Contribution]:
        """Every client's update of the current model, by client number."""
        ...

    def advance(self, mean: Vector) -> None:
        """Move the current model."""
        ...

    def evaluate(self, model: Vector) -> float | None:
        """The metric of a model."""
        ...


class Training:
    """Federated averaging on a data set.

    Raises:
        ParameterError: an unknown data set, or a number of clients that it does not allow.
        UnavailableError: the data or a package is missing; the message says how to get it.
    """

    def __init__(self, name: str, clients: int | None, seed: int) -> None:
        federation = data.load(name, clients, seed)
        from fl import rounds, train

        self._job = rounds.FedAvg(federation, seed)
        self._federation = federation
        self.source = Source(
            name=federation.name, source=federation.source, sha256=federation.checksum
        )
        self.clients = len(federation.clients)
        self.length = self._job.length
        self.max_weight = federation.max_weight
        self.recipe = repr(self._job.recipe)
        regression = federation.kind == "regression"
        self.metric: str | None = "R2" if regression else "accuracy"
        self.pooled: float | None = train.pooled_fit(federation) if regression else None

    def start(self) -> Vector:
        """The initial weights."""
        return self._job.trajectory().weights

    def contributions(self, training_round: int) -> list[Contribution]:
        """Train every client on the current model.

        Raises:
            InputError: a client's training diverged.
        """
        return [
            Contribution(update.vector, update.weight)
            for update in self._job.updates(training_round)
        ]

    def advance(self, mean: Vector) -> None:
        """Move the model that the clients train next."""
        self._job.apply(mean)

    def evaluate(self, model: Vector) -> float | None:
        """On the test set."""
        trajectory: rounds.Trajectory = self._job.trajectory()
        trajectory.weights = model
        return self._job.evaluate(trajectory)


class RandomVectors:
    """Uniform vectors in -1..1 with weights in 1..100, the same for the same seed and round."""

    metric: str | None = None
    pooled: float | None = None
    recipe = "random"
    max_weight = LARGEST_RANDOM_WEIGHT

    def __init__(self, length: int, clients: int | None, seed: int) -> None:
        if length < 1:
            raise ParameterError(f"a vector has at least 1 element, got {length}")
        self.length = length
        self.clients = data.DEFAULT_CLIENTS if clients is None else clients
        self._seed = seed
        self.source = Source(name="random", source=f"uniform in -1..1, seed {seed}", sha256=None)

    def start(self) -> Vector:
        """Zero."""
        return np.zeros(self.length)

    def contributions(self, training_round: int) -> list[Contribution]:
        """Fresh vectors and weights."""
        return [self._draw(training_round, number) for number in range(self.clients)]

    def advance(self, mean: Vector) -> None:
        """Nothing is learned."""

    def evaluate(self, model: Vector) -> float | None:
        """There is no metric."""
        return None

    def _draw(self, training_round: int, number: int) -> Contribution:
        draws = sampling.stream("vectors", self._seed, training_round, number)
        weight = 1 + uniform_below(draws, LARGEST_RANDOM_WEIGHT)
        integers = np.frombuffer(draws.bytes(4 * self.length), "<i4")
        return Contribution((integers * 2.0**-31).astype(np.float32), weight)


def weighted_mean(contributions: Sequence[Contribution]) -> Vector:
    """In double precision: what every protocol is measured against."""
    total = sum(weight for _, weight in contributions)
    mean = np.zeros(len(contributions[0].vector))
    for vector, weight in contributions:
        mean += vector.astype(np.float64) * (weight / total)
    return mean

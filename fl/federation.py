"""What a federated task is: the examples of each client, a test set, and their source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from secagg.errors import ParameterError

Kind: TypeAlias = Literal["classification", "regression"]


@dataclass(frozen=True, eq=False, repr=False)
class Examples:
    """Rows of one owner. They are private, so they are never printed.

    Attributes:
        inputs: float32, shape (rows, features).
        targets: shape (rows,): int64 class numbers, or float32 values for regression.
    """

    inputs: npt.NDArray[np.float32]
    targets: npt.NDArray[Any]

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, rows: npt.NDArray[np.int64]) -> Examples:
        """A copy of these rows, in this order."""
        return Examples(self.inputs[rows], self.targets[rows])

    @classmethod
    def union(cls, parts: Sequence[Examples]) -> Examples:
        """All rows of all owners: what a federation never has in one place."""
        return cls(
            np.concatenate([part.inputs for part in parts]),
            np.concatenate([part.targets for part in parts]),
        )


@dataclass(frozen=True, eq=False)
class Federation:
    """A task and its owners.

    Attributes:
        name: the data set.
        kind: what is predicted; decides the loss and the metric.
        clients: training rows by client number, none empty.
        test: held out, for the metric only.
        classes: how many, or 0 for regression.
        source: where the data came from and how it was split, in words.
        checksum: SHA-256, in hex, of the raw bytes the data were read from.
    """

    name: str
    kind: Kind
    clients: tuple[Examples, ...]
    test: Examples
    classes: int
    source: str
    checksum: str

    def __post_init__(self) -> None:
        if not self.clients or not all(len(part) for part in self.clients):
            raise ParameterError(f"{self.name}: every client needs at least one example")
        if not len(self.test):
            raise ParameterError(f"{self.name}: the test set is empty")

    @property
    def features(self) -> int:
        """Columns of every `inputs`."""
        return int(self.test.inputs.shape[1])

    @property
    def max_weight(self) -> int:
        """The largest number of examples of a client: the codec's public constant.

        Known here because one process simulates everybody; a deployment agrees on a round number.
        """
        return max(len(part) for part in self.clients)

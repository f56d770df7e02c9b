"""Flower's strategies, unchanged: under the grid as without it, within quantization, on real data.

A linear softmax on the digits: training is a few steps of gradient descent, the same every time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pytest
from adapters.flower.nodes import Node, Nodes, Time, register
from flwr.app import Array, ArrayRecord, Context, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAdam, FedAvg, FedAvgM, FedProx, FedYogi, Strategy
from sklearn.datasets import load_digits

from secagg.adapters.flower import SecureGrid, secagg_mod

CLIENTS: Final = 6
ROUNDS: Final = 4
Vector = npt.NDArray[np.float64]

STRATEGIES: dict[str, Callable[[], Strategy]] = {
    "FedAvg": lambda: FedAvg(min_available_nodes=CLIENTS),
    "FedProx": lambda: FedProx(proximal_mu=0.1, min_available_nodes=CLIENTS),
    "FedAdam": lambda: FedAdam(eta=0.05, min_available_nodes=CLIENTS),
    "FedYogi": lambda: FedYogi(eta=0.05, min_available_nodes=CLIENTS),
    "FedAvgM": lambda: FedAvgM(server_momentum=0.5, min_available_nodes=CLIENTS),
}


@dataclass
class Digits:
    """Clients with their shares of the digits."""

    parts: list[tuple[Vector, npt.NDArray[np.int64]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        images, labels = load_digits(return_X_y=True)
        order = np.random.default_rng(0).permutation(len(labels))
        # Shares of different sizes, so that weights matter.
        ends = np.cumsum([100 + 50 * number for number in range(CLIENTS)])
        self.parts = [
            (images[chosen] / 16.0, labels[chosen]) for chosen in np.split(order, ends)[:CLIENTS]
        ]

    def train(self, number: int, content: RecordDict) -> RecordDict:
        images, labels = self.parts[number]
        start = content.array_records["arrays"]["weight"].numpy().astype(np.float64)
        pull = float(content.config_records["config"].get("proximal-mu", 0.0))  # type: ignore[arg-type]
        weight = start.copy()
        for _ in range(5):
            slope = images.T @ (_softmax(images @ weight) - np.eye(10)[labels]) / len(labels)
            weight -= 0.5 * (slope + pull * (weight - start))
        metrics = MetricRecord({"num-examples": len(labels), "loss": self.loss(number, weight)})
        arrays = ArrayRecord({"weight": Array(weight.astype(np.float32))})
        return RecordDict({"arrays": arrays, "metrics": metrics})

    def evaluate(self, number: int, content: RecordDict) -> RecordDict:
        images, labels = self.parts[number]
        weight = content.array_records["arrays"]["weight"].numpy()
        right = float(np.mean((images @ weight).argmax(axis=1) == labels))
        metrics = MetricRecord({"num-examples": len(labels), "accuracy": right})
        return RecordDict({"metrics": metrics})

    def loss(self, number: int, weight: Vector) -> float:
        images, labels = self.parts[number]
        chances = _softmax(images @ weight)[np.arange(len(labels)), labels]
        return float(-np.log(chances).mean())


def _softmax(values: Vector) -> Vector:
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def grid_of(digits: Digits, *, secure: bool) -> Nodes:
    made = {}
    for number in range(CLIENTS):
        app = ClientApp(mods=[secagg_mod()] if secure else [])
        register(app, number, digits.train, digits.evaluate)
        made[number + 1] = Node(app, Context(1, number + 1, {}, RecordDict(), {}))
    return Nodes(made, time=Time())


def run(strategy: Strategy, grid: Grid) -> Any:
    start = ArrayRecord({"weight": Array(np.zeros((64, 10), np.float32))})
    return strategy.start(grid=grid, initial_arrays=start, num_rounds=ROUNDS)


@pytest.mark.parametrize("name", STRATEGIES)
def test_results_are_those_of_the_plain_run(name: str) -> None:
    digits = Digits()
    plain = run(STRATEGIES[name](), grid_of(digits, secure=False))
    grid = grid_of(digits, secure=True)
    secured = run(STRATEGIES[name](), SecureGrid(grid, clock=grid.time.clock))
    expected, found = plain.arrays["weight"].numpy(), secured.arrays["weight"].numpy()
    assert found.dtype == expected.dtype
    # Adam and Yogi divide by roots of small second moments: they amplify what rounding changes.
    tolerance = 5e-3 if name in ("FedAdam", "FedYogi") else 5e-5
    assert np.abs(expected).max() > 0.1
    assert np.abs(found - expected).max() < tolerance
    for number in range(1, ROUNDS + 1):
        for kept in ("train_metrics_clientapp", "evaluate_metrics_clientapp"):
            metrics, others = getattr(plain, kept)[number], getattr(secured, kept)[number]
            assert set(metrics) == set(others)
            for key, value in metrics.items():
                assert others[key] == pytest.approx(value, abs=2e-3)
    accuracy = plain.evaluate_metrics_clientapp[ROUNDS]["accuracy"]
    assert accuracy > 0.6
    assert secured.evaluate_metrics_clientapp[ROUNDS]["accuracy"] == pytest.approx(
        accuracy, abs=2e-3
    )

"""Run the quickstart plain and secured, and lose a client at every phase of a secured round.

    python examples/flower_quickstart/run.py

Needs `pip install 'secagg[flower]' scikit-learn`. Ten clients in this process, on real data. Ends
with 1 unless the two models are the same to within the quantization, and every round with a lost
client gives the mean of those in the sum.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Final

import numpy as np
from in_process import App, InProcessGrid

HERE: Final = Path(__file__).parent
CLIENTS: Final = 10
GONE: Final = 4
"""The node that is lost."""

TOLERANCE: Final = 1e-4
"""Of any parameter. A coordinate has 24 binary digits at 10 000 examples; these have 144."""

Vector = np.ndarray[tuple[int], np.dtype[np.float64]]


def main() -> int:
    """Both apps, then the losses."""
    logging.getLogger("flwr").setLevel(logging.ERROR)
    # Every loss is announced; the table below tells it as well.
    logging.getLogger("secagg").setLevel(logging.ERROR)
    plain, models, accuracies = App(HERE / "plain"), [], []
    for name in ("plain", "secured"):
        app = App(HERE / name)
        print(f"{name}: ", end="", flush=True)
        state = app.run(InProcessGrid(app, CLIENTS))
        models.append(_flat(state["arrays"].to_numpy_ndarrays()))
        accuracies.append(float(state["metrics"]["accuracy"]))
    off = float(np.max(np.abs(models[0] - models[1])))
    print(f"largest difference of the two models: {off:.1e}\n")
    good = off < TOLERANCE and accuracies[0] == accuracies[1]

    updates, examples = _updates(plain)
    everybody = list(range(CLIENTS))
    others = [client for client in everybody if client != GONE - 1]
    secured = App(HERE / "secured")
    print(f"one round, node {GONE} gone from its message on: ")
    for message in range(1, _messages(secured) + 1):
        grid = InProcessGrid(secured, CLIENTS, lost={GONE: message})
        print(f"  {message}: ", end="", flush=True)
        state = secured.run(grid, **{"num-server-rounds": 1})
        model = _flat(state["arrays"].to_numpy_ndarrays())
        distances = {
            len(those): float(np.max(np.abs(model - _mean(updates, examples, those))))
            for those in (everybody, others)
        }
        included = min(distances, key=lambda count: distances[count])
        print(f"     the mean of {included} clients, to within {distances[included]:.1e}")
        good &= distances[included] < TOLERANCE < max(distances.values())
    print("\nas expected" if good else "\nNOT as expected")
    return 0 if good else 1


def _updates(app: App) -> tuple[list[Vector], list[int]]:
    """What every client's training gives in the first round, and its examples."""
    from quickstart import task

    rows = [task.training_set(client, CLIENTS) for client in range(CLIENTS)]
    epochs, rate = int(app.config["local-epochs"]), float(app.config["learning-rate"])
    updates = [_flat(task.train(task.new_model(), *each, epochs, rate)) for each in rows]
    return updates, [len(labels) for _, labels in rows]


def _messages(app: App) -> int:
    """Training messages that a client gets in one round in which nobody is lost."""
    grid = InProcessGrid(app, CLIENTS)
    app.run(grid, **{"num-server-rounds": 1})
    return max(grid.received.values())


def _mean(updates: list[Vector], examples: list[int], those: list[int]) -> Vector:
    weights = [examples[client] for client in those]
    mean: Vector = np.average([updates[client] for client in those], axis=0, weights=weights)
    return mean


def _flat(arrays: list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]) -> Vector:
    return np.concatenate([array.ravel() for array in arrays]).astype(np.float64)


if __name__ == "__main__":
    sys.exit(main())

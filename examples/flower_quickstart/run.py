"""Run the quickstart plain and secured, and lose a client at every phase of a secured round.

    python examples/flower_quickstart/run.py

Needs `pip install 'secagg[flower]' scikit-learn`. Ten clients in this process, on real data. Ends
with 1 unless the two models are the same to within the quantization, and every round with a lost
client gives the mean of those in the sum.
"""

from __future__ import annotations

import logging
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Final

import numpy as np
from flwr.app import RecordDict
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
    # Flower tells every step, and the adapter every loss; the tables below have it all.
    for name in ("flwr", "secagg"):
        logging.getLogger(name).setLevel(logging.ERROR)
    rounds = "num-server-rounds"
    plain, secured = App(HERE / "plain"), App(HERE / "secured")
    models, accuracies = [], []
    for name, app in (("plain", plain), ("secured", secured)):
        state = _run(app, InProcessGrid(app, CLIENTS))
        models.append(_flat(state.array_records["arrays"].to_numpy_ndarrays()))
        accuracies.append(float(state.metric_records["metrics"]["accuracy"]))
        print(
            f"{name:8} {app.config[rounds]} rounds, {CLIENTS} clients: {accuracies[-1]:.2%} right"
        )
    off = float(np.max(np.abs(models[0] - models[1])))
    print(f"{'':8} largest difference of the two models: {off:.1e}\n")
    good = off < TOLERANCE and abs(accuracies[0] - accuracies[1]) < 0.01

    updates, examples = _updates(plain)
    everybody = list(range(CLIENTS))
    others = [client for client in everybody if client != GONE - 1]
    undisturbed = InProcessGrid(secured, CLIENTS)
    _run(secured, undisturbed, **{rounds: 1})
    messages = max(undisturbed.received.values())
    print(f"secured  one round of {messages} messages to a client, and one client is gone:")
    for message in range(1, messages + 1):
        grid = InProcessGrid(secured, CLIENTS, lost={GONE: message})
        state = _run(secured, grid, **{rounds: 1})
        model = _flat(state.array_records["arrays"].to_numpy_ndarrays())
        distances = {
            len(those): float(np.max(np.abs(model - _mean(updates, examples, those))))
            for those in (everybody, others)
        }
        included = min(distances, key=lambda count: distances[count])
        exact = distances[included] < TOLERANCE < max(distances.values())
        good &= exact
        print(
            f"{'':8} from message {message} on: the mean of {included} clients"
            f"{'' if exact else ' is EXPECTED, and is not'}, to within {distances[included]:.1e}"
        )
    print("\nas expected" if good else "\nNOT as expected")
    return 0 if good else 1


def _run(app: App, grid: InProcessGrid, **config: int) -> RecordDict:
    """What the server's side leaves; what it prints is for those who run it alone."""
    with redirect_stdout(StringIO()):
        return app.run(grid, **config)


def _updates(app: App) -> tuple[list[Vector], list[int]]:
    """What every client's training gives in the first round, and its examples."""
    from quickstart import task

    rows = [task.training_set(client, CLIENTS) for client in range(CLIENTS)]
    epochs, rate = int(app.config["local-epochs"]), float(app.config["learning-rate"])
    updates = [_flat(task.train(task.new_model(), *each, epochs, rate)) for each in rows]
    return updates, [len(labels) for _, labels in rows]


def _mean(updates: list[Vector], examples: list[int], those: list[int]) -> Vector:
    weights = [examples[client] for client in those]
    mean: Vector = np.average([updates[client] for client in those], axis=0, weights=weights)
    return mean


def _flat(arrays: list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]) -> Vector:
    return np.concatenate([array.ravel() for array in arrays]).astype(np.float64)


if __name__ == "__main__":
    sys.exit(main())

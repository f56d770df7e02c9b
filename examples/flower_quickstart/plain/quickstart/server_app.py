"""The server's side: federated averaging, judged after every round on rows that no client has."""

from __future__ import annotations

import numpy as np
from flwr.app import ArrayRecord, Context, MetricRecord
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from quickstart import task

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """All rounds; the model and its accuracy end up in the context."""
    config = context.run_config
    # All three: FedAvg samples of the nodes that were there before it waited for so many.
    nodes = int(config["min-available-nodes"])
    strategy = FedAvg(
        fraction_evaluate=float(config["fraction-evaluate"]),
        min_train_nodes=nodes,
        min_evaluate_nodes=nodes,
        min_available_nodes=nodes,
    )
    result = strategy.start(
        grid=grid,
        initial_arrays=ArrayRecord(task.new_model()),
        num_rounds=int(config["num-server-rounds"]),
        evaluate_fn=judge,
    )
    context.state["arrays"] = result.arrays
    accuracies = result.evaluate_metrics_serverapp
    context.state["metrics"] = accuracies[max(accuracies)]
    size = np.sqrt(sum(float(np.sum(array**2)) for array in result.arrays.to_numpy_ndarrays()))
    print(f"accuracy {accuracies[max(accuracies)]['accuracy']:.4f}, size of the model {size:.6f}")


def judge(server_round: int, arrays: ArrayRecord) -> MetricRecord:
    """Loss and accuracy on the test's rows."""
    del server_round
    loss, accuracy = task.evaluate(arrays.to_numpy_ndarrays(), *task.test_set())
    return MetricRecord({"loss": loss, "accuracy": accuracy})

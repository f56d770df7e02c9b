"""A round of ten clients under `run_simulation`: python simulated.py CLIENTS FILE.npy."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation

from secagg.adapters.flower import SecureGrid, secagg_mod

LENGTH = 1000

client_app = ClientApp(mods=[secagg_mod()])


@client_app.train()
def train(message: Message, context: Context) -> Message:
    """A vector and a weight that the test knows."""
    number, clients = (int(context.node_config[k]) for k in ("partition-id", "num-partitions"))
    update = np.linspace(-1, number / clients, LENGTH, dtype=np.float32)
    content = RecordDict(
        {
            "arrays": ArrayRecord([update]),
            "metrics": MetricRecord({"num-examples": 100 + number}),
        }
    )
    return Message(content, reply_to=message)


def main(clients: int, file: Path) -> None:
    """Write the mean there."""
    server_app = ServerApp()

    @server_app.main()
    def serve(grid: Grid, context: Context) -> None:
        # It samples of the nodes that were there before it waited for so many.
        strategy = FedAvg(
            fraction_evaluate=0.0, min_train_nodes=clients, min_available_nodes=clients
        )
        arrays = ArrayRecord([np.zeros(LENGTH, np.float32)])
        result = strategy.start(grid=SecureGrid(grid), initial_arrays=arrays, num_rounds=1)
        (mean,) = result.arrays.to_numpy_ndarrays()
        np.save(file, mean)

    run_simulation(
        server_app,
        client_app,
        clients,
        backend_config={"client_resources": {"num_cpus": 1, "num_gpus": 0.0}},
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))

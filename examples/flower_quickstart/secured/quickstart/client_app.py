"""The client's side: trains on its rows, and says how good a model is on them."""

from __future__ import annotations

from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from quickstart import task
from secagg.adapters.flower import secagg_mod

app = ClientApp(mods=[secagg_mod()])


@app.train()
def train(message: Message, context: Context) -> Message:
    """The model after some epochs on this client's rows."""
    inputs, labels = _rows(context)
    model = task.train(
        message.content["arrays"].to_numpy_ndarrays(),
        inputs,
        labels,
        epochs=int(context.run_config["local-epochs"]),
        rate=float(context.run_config["learning-rate"]),
    )
    metrics = MetricRecord({"num-examples": len(labels)})
    content = RecordDict({"arrays": ArrayRecord(model), "metrics": metrics})
    return Message(content, reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """How good the model is on this client's rows."""
    inputs, labels = _rows(context)
    loss, accuracy = task.evaluate(message.content["arrays"].to_numpy_ndarrays(), inputs, labels)
    metrics = MetricRecord({"loss": loss, "accuracy": accuracy, "num-examples": len(labels)})
    return Message(RecordDict({"metrics": metrics}), reply_to=message)


def _rows(context: Context) -> tuple[task.Inputs, task.Labels]:
    config = context.node_config
    return task.training_set(int(config["partition-id"]), int(config["num-partitions"]))

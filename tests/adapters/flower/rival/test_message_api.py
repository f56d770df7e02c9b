"""Flower's own SecAgg+ beside its current interface for apps, the Message API: it does not work.

Each test passes because the failure is there. docs/flower-secaggplus.md names them.
"""

from __future__ import annotations

import numpy as np
import pytest
from adapters.flower.rival.legacy import NODES, Legacy, request, some
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.client.mod import secaggplus_mod
from flwr.clientapp import ClientApp
from flwr.common.secure_aggregation.secaggplus_constants import Stage


def _app() -> ClientApp:
    app = ClientApp(mods=[secaggplus_mod])

    @app.train()
    def train(message: Message, context: Context) -> Message:
        arrays = ArrayRecord([np.ones(3, np.float32)])
        metrics = MetricRecord({"num-examples": 5})
        return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)

    return app


def test_a_plain_train_message_raises_with_the_mod() -> None:
    """An app that carries the mod cannot be trained without it."""
    context = Context(run_id=1, node_id=NODES, node_config={}, state=RecordDict(), run_config={})
    message = request(NODES, {})
    message.content.clear()
    message.content["arrays"] = ArrayRecord([np.zeros(3, np.float32)])
    with pytest.raises(KeyError, match="secaggplus_configs"):
        _app()(message, context)


def test_an_app_of_the_message_api_raises_under_the_workflow() -> None:
    """The mod looks for the answer of the interface before."""
    legacy = Legacy(some(3), shares=3, threshold=2, app=_app())
    assert legacy.run() is None
    assert {type(error) for error in legacy.errors} == {KeyError}
    assert {error.args for error in legacy.errors} == {("fitres.parameters",)}
    assert Stage.COLLECT_MASKED_VECTORS not in legacy.sent

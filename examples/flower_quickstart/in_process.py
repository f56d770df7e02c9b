"""A grid with its clients in this process: messages become bytes on their way, some are lost."""

from __future__ import annotations

import itertools
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.common.constant import ErrorCode
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.proto.message_pb2 import Message as MessageProto
from flwr.serverapp import Grid, ServerApp
from flwr.supercore.task_identity import TaskIdentity


class App:
    """A Flower app in a folder, as `flwr run` finds it.

    Attributes:
        server: what it runs.
        client: what every node runs.
        config: of a run, as pyproject.toml says.
    """

    server: ServerApp
    client: ClientApp

    def __init__(self, folder: Path) -> None:
        """Import it anew: apps of the same name may have been imported from other folders."""
        document = tomllib.loads((folder / "pyproject.toml").read_text())["tool"]["flwr"]["app"]
        self.config: dict[str, Any] = document["config"]
        package = document["components"]["serverapp"].split(".")[0]
        for name in [name for name in sys.modules if name.split(".")[0] == package]:
            del sys.modules[name]
        sys.path.insert(0, str(folder))
        try:
            self.server = _attribute(document["components"]["serverapp"])
            self.client = _attribute(document["components"]["clientapp"])
        finally:
            sys.path.remove(str(folder))

    def run(self, grid: Grid, **config: int | float) -> RecordDict:
        """Run the server's side; what it leaves in its context."""
        context = _context(0, {}, {**self.config, **config})
        self.server(grid, context)
        return context.state


class InProcessGrid(Grid):
    """Some clients of one app, node numbers 1 and up.

    Attributes:
        received: training messages that reached each node, or would have.
    """

    def __init__(self, app: App, clients: int, lost: Mapping[int, int] | None = None) -> None:
        """`lost` says from which training message on, 1 and up, a node is gone."""
        TaskIdentity.run_id = TaskIdentity.task_id = TaskIdentity.node_id = 1
        self._app = app
        self._lost = dict(lost or {})
        self._numbers = itertools.count(1)
        self._replies: dict[str, bytes] = {}
        self.received: Counter[int] = Counter()
        # As Flower tells each node of a simulation which part of the data is its own.
        self._contexts = {
            number + 1: _context(
                number + 1, {"partition-id": number, "num-partitions": clients}, app.config
            )
            for number in range(clients)
        }

    def get_node_ids(self) -> Iterable[int]:
        """All of them: that one is gone is found out when it does not answer."""
        return list(self._contexts)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Deliver each at once. A message that reaches nobody has an empty id."""
        return [self._deliver(message) for message in messages]

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """The replies to these, each once."""
        there = [self._replies.pop(each) for each in message_ids if each in self._replies]
        return [message_from_proto(MessageProto.FromString(reply)) for reply in there]

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Replies of those that are there; nobody waits for the others."""
        del timeout
        return self.pull_messages(self.push_messages(messages))

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """A message to a node."""
        return Message(content, dst_node_id, message_type, group_id=group_id, ttl=ttl)

    def set_run(self, run: Any) -> None:
        """There is one run only."""

    @property
    def run(self) -> Any:
        """Nothing is known of it."""
        return None

    def _deliver(self, message: Message) -> str:
        node = message.metadata.dst_node_id
        self.received[node] += message.metadata.message_type == "train"
        if self.received[node] >= self._lost.get(node, sys.maxsize):
            return ""
        # A grid numbers the messages that it is given.
        message.metadata.__dict__["_message_id"] = str(next(self._numbers))
        sent = message_to_proto(message).SerializeToString()
        arrived = message_from_proto(MessageProto.FromString(sent))
        try:
            reply = self._app.client(arrived, self._contexts[node])
        except Exception as error:
            # As Flower's nodes do.
            raised = Error(ErrorCode.CLIENT_APP_RAISED_EXCEPTION, repr(error))
            reply = Message(raised, reply_to=arrived)
        self._replies[message.metadata.message_id] = message_to_proto(reply).SerializeToString()
        return message.metadata.message_id


def _context(node: int, node_config: dict[str, Any], run_config: dict[str, Any]) -> Context:
    return Context(
        run_id=1,
        node_id=node,
        node_config=node_config,
        state=RecordDict(),
        run_config=dict(run_config),
    )


def _attribute(reference: str) -> Any:
    module, name = reference.split(":")
    return getattr(import_module(module), name)

"""A grid over clients in this process: every message is bytes on its way, some of them are lost.

Nobody waits: time passes when a grid that expects replies sleeps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from flwr.app import (
    ArrayRecord,
    ConfigRecord,
    Context,
    Error,
    Message,
    MetricRecord,
    RecordDict,
)
from flwr.clientapp import ClientApp
from flwr.common.constant import ErrorCode
from flwr.common.serde import (
    message_from_proto,
    message_to_proto,
    recorddict_from_proto,
    recorddict_to_proto,
)
from flwr.proto.message_pb2 import Message as MessageProto
from flwr.proto.recorddict_pb2 import RecordDict as RecordDictProto
from flwr.serverapp import Grid
from flwr.supercore.task_identity import TaskIdentity

from secagg.adapters.flower import secagg_mod, words
from secagg.adapters.flower.post import Clock

NODES: Final = 7_000_000_000_000
"""The number of the first node; real ones are as large."""

LATE_SECONDS: Final = 10_000.0

Train = Callable[[int, RecordDict], RecordDict]
Fate = Callable[[int, Message, "words.Word | None"], str]
"""(number of the node, message to it, word in it) to what becomes of it.

"now", "late", "lost", "deaf" (its reply is lost), "broken" (it dies, and an error comes instead).
"""


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.clock = Clock(lambda: self.seconds, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass
class Node:
    """One client: its app, and what Flower keeps for it."""

    app: ClientApp
    context: Context


@dataclass
class Nodes(Grid):
    """The grid.

    Attributes:
        nodes: by node id.
        fate: of a message.
        sent: every message to a node and its reply, as (node id, message, reply).
        up, down: bytes that nodes sent and were sent.
    """

    nodes: dict[int, Node]
    fate: Fate = lambda *_: "now"
    time: Time = field(default_factory=Time)
    sent: list[tuple[int, Message, Message | None]] = field(default_factory=list)
    up: int = 0
    down: int = 0

    def __post_init__(self) -> None:
        TaskIdentity.task_id = TaskIdentity.run_id = TaskIdentity.node_id = 1
        self._replies: dict[str, tuple[float, Message]] = {}
        self._count = 0

    def set_run(self, run: Any) -> None:
        raise NotImplementedError

    @property
    def run(self) -> Any:
        return "the run"

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        return Message(content, dst_node_id, message_type, group_id=group_id, ttl=ttl)

    def get_node_ids(self) -> list[int]:
        return list(self.nodes)

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        return [self._push(message) for message in messages]

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        ready = [key for key in message_ids if self._ready(key)]
        return [self._replies.pop(key)[1] for key in ready]

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> list[Message]:
        del timeout
        return self.pull_messages(self.push_messages(messages))

    def words_to(self, node: int) -> list[str]:
        """What a node was told, by the names of the words."""
        return [_word(message) for to, message, _ in self.sent if to == node]

    def _ready(self, key: str) -> bool:
        return key in self._replies and self._replies[key][0] <= self.time.seconds

    def _push(self, message: Message) -> str:
        node = message.metadata.dst_node_id
        self._count += 1
        key = f"message {self._count}"
        message.metadata.__dict__["_message_id"] = key
        arrived, size = _carried(message)
        self.down += size
        word = None
        if words.RECORD in arrived.content:
            word, _ = words.unpack(arrived.content)
        fate = self.fate(node - NODES, arrived, word)
        if fate == "lost" or node not in self.nodes:
            self.sent.append((node, arrived, None))
            return key
        if fate == "broken":
            reply = Message(Error(ErrorCode.CLIENT_APP_CRASHED, "it crashed"), reply_to=arrived)
        else:
            reply = self._run(self.nodes[node], arrived)
        self.sent.append((node, arrived, reply))
        if fate == "deaf":
            return key
        back, size = _carried(reply)
        self.up += size
        delay = LATE_SECONDS if fate == "late" else 0.0
        self._replies[key] = (self.time.seconds + delay, back)
        return key

    def _run(self, node: Node, message: Message) -> Message:
        """As Flower's runtime does: what was kept is kept only if the app returns."""
        context = node.context
        state = recorddict_to_proto(context.state).SerializeToString()
        working = _context(context, recorddict_from_proto(RecordDictProto.FromString(state)))
        try:
            reply = node.app(message, working)
        except Exception as error:
            reason = f"{type(error)}:<{str(error)!r}>"
            return Message(Error(ErrorCode.CLIENT_APP_RAISED_EXCEPTION, reason), reply_to=message)
        kept = recorddict_to_proto(working.state).SerializeToString()
        context.state = recorddict_from_proto(RecordDictProto.FromString(kept))
        return reply


@dataclass
class Trainer:
    """Clients whose training is a rule: number of the node and what came, to a reply.

    Attributes:
        models: the arrays that each node was sent, by node and time.
    """

    count: int
    shape: tuple[int, ...] = (4, 3)
    models: list[tuple[int, dict[str, Any]]] = field(default_factory=list)

    def examples(self, number: int) -> int:
        return 100 * (number + 1)

    def arrays(self, number: int) -> dict[str, np.ndarray[Any, Any]]:
        generator = np.random.default_rng(number)
        return {
            "layer.weight": generator.uniform(-1, 1, self.shape).astype(np.float32),
            "layer.bias": generator.uniform(-1, 1, self.shape[:1]),
        }

    def loss(self, number: int) -> float:
        return 1.0 / (number + 1)

    def train(self, number: int, content: RecordDict) -> RecordDict:
        record = next(iter(content.array_records.values()))
        self.models.append((number, {key: array.numpy() for key, array in record.items()}))
        arrays = ArrayRecord({k: _array(v) for k, v in self.arrays(number).items()})
        metrics = MetricRecord(
            {
                "train_loss": self.loss(number),
                "num-examples": self.examples(number),
                "quartiles": [0.25 * number, 0.5 * number],
            }
        )
        return RecordDict({"arrays": arrays, "metrics": metrics})

    def evaluate(self, number: int, content: RecordDict) -> RecordDict:
        del content
        metrics = MetricRecord(
            {"accuracy": number / self.count, "num-examples": self.examples(number)}
        )
        return RecordDict({"metrics": metrics})

    def mean(self, included: Iterable[int], name: str) -> np.ndarray[Any, Any]:
        """The weighted mean of an array over these nodes, in double."""
        chosen = list(included)
        values = [self.arrays(number)[name].astype(np.float64) for number in chosen]
        return np.asarray(np.average(values, axis=0, weights=[*map(self.examples, chosen)]))

    def mean_loss(self, included: Iterable[int]) -> float:
        chosen = list(included)
        return float(np.average([*map(self.loss, chosen)], weights=[*map(self.examples, chosen)]))


def nodes(
    trainer: Trainer,
    protocol: str = "secagg",
    level: str = "curious",
    *,
    train: Train | None = None,
    evaluate: Train | None = None,
    configs: dict[int, dict[str, Any]] | None = None,
    run_config: dict[str, Any] | None = None,
    **mod: Any,
) -> Nodes:
    """As many nodes as the trainer has clients, each with the mod."""
    made = {}
    for number in range(trainer.count):
        app = ClientApp(mods=[secagg_mod(protocol, level, **mod)])
        register(app, number, train or trainer.train, evaluate or trainer.evaluate)
        context = Context(
            run_id=1,
            node_id=NODES + number,
            node_config=(configs or {}).get(number, {}),
            state=RecordDict(),
            run_config=run_config or {},
        )
        made[NODES + number] = Node(app, context)
    return Nodes(made)


def register(app: ClientApp, number: int, train: Train, evaluate: Train) -> None:
    """Functions as an app of Flower's has them."""

    @app.train()
    def on_train(message: Message, context: Context) -> Message:
        return Message(train(number, message.content), reply_to=message)

    @app.evaluate()
    def on_evaluate(message: Message, context: Context) -> Message:
        return Message(evaluate(number, message.content), reply_to=message)

    @app.query()
    def on_query(message: Message, context: Context) -> Message:
        return Message(RecordDict({"heard": message.content["question"]}), reply_to=message)


def messages(
    grid: Grid, model: dict[str, Any] | None = None, kind: str = "train", **config: Any
) -> list[Message]:
    """One to every node, with the same records, as FedAvg makes them."""
    content = RecordDict({"config": ConfigRecord({"server-round": 1, **config})})
    if kind == "train":
        given = model or {"layer.weight": np.zeros((4, 3), np.float32)}
        content["arrays"] = ArrayRecord({k: _array(v) for k, v in given.items()})
    return [Message(content, dst_node_id=node, message_type=kind) for node in grid.get_node_ids()]


def _array(value: Any) -> Any:
    from flwr.app import Array

    return Array(np.asarray(value))


def _carried(message: Message) -> tuple[Message, int]:
    data = message_to_proto(message).SerializeToString()
    return message_from_proto(MessageProto.FromString(data)), len(data)


def _context(old: Context, state: RecordDict) -> Context:
    return Context(old.run_id, old.node_id, old.node_config, state, old.run_config)


def _word(message: Message) -> str:
    if words.RECORD not in message.content:
        return message.metadata.message_type
    return type(words.unpack(message.content)[0]).__name__

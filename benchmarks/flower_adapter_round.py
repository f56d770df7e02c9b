"""One round under Flower's own SecAgg+, or under the adapter; run by flower_adapter.py.

Needs Flower. Both sides go through the same grid in this process: every message becomes bytes and
is read back, and so does what a client keeps between two messages, as in Flower's own runtime.
Training is a stand-in, and counted for nobody; the strategy takes the mean as it comes.

CPU seconds are the process's and charged to the party that is at work, handling apart from turning
messages and kept records into bytes and back ("coding").
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from decimal import Decimal
from importlib.metadata import version
from logging import CRITICAL, disable
from pathlib import Path
from typing import Any, Final

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.client.mod import secaggplus_mod
from flwr.clientapp import ClientApp
from flwr.clientapp.typing import ClientAppCallable
from flwr.common import Code, FitIns, FitRes, Status, ndarrays_to_parameters
from flwr.common.secure_aggregation.secaggplus_constants import RECORD_KEY_CONFIGS, Key, Stage
from flwr.common.serde import (
    message_from_proto,
    message_to_proto,
    recorddict_from_proto,
    recorddict_to_proto,
)
from flwr.compat.common.recorddict_compat import fitres_to_recorddict
from flwr.proto.message_pb2 import Message as MessageProto
from flwr.proto.recorddict_pb2 import RecordDict as RecordDictProto
from flwr.server import LegacyContext
from flwr.server.workflow import SecAggPlusWorkflow
from flwr.server.workflow.constant import MAIN_CONFIGS_RECORD, MAIN_PARAMS_RECORD
from flwr.server.workflow.constant import Key as WorkflowKey
from flwr.serverapp import Grid
from flwr.supercore.task_identity import TaskIdentity

sys.path.insert(0, str(Path(__file__).parent))

import updates
from rivals.flower_round import OUTSIDE, SERVER, Clock, Strategy

from secagg import kernels
from secagg.adapters.flower import SecureGrid, Settings, secagg_mod, words

PACKAGES: Final = ("secagg", "flwr", "numpy", "cryptography", "protobuf")
MASKED_STEP: Final = 3
"""The step of a session of ours to which a client answers with its masked vector."""

Gone = Callable[[int, Message], bool]


class Wire(Grid):
    """Delivers every message to its client at once, through bytes, and keeps the answer.

    Attributes:
        up, down: bytes by client.
        kept: the most bytes that a client kept between two messages, by client.
    """

    def __init__(self, nodes: list[int], clock: Clock, call: ClientAppCallable, gone: Gone) -> None:
        self._numbers = {node: number for number, node in enumerate(nodes)}
        self._clock, self._call, self._gone = clock, call, gone
        self._states = [b""] * len(nodes)
        self._replies: dict[str, bytes] = {}
        self._sent = 0
        self.up, self.down, self.kept = ([0] * len(nodes) for _ in range(3))

    def get_node_ids(self) -> Iterable[int]:
        return list(self._numbers)

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        return [self._deliver(message) for message in messages]

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        before = self._clock.charge(SERVER, "coding")
        there = [self._replies.pop(each) for each in message_ids if each in self._replies]
        replies = [message_from_proto(MessageProto.FromString(each)) for each in there]
        self._clock.charge(*before)
        return replies

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> list[Message]:
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
        return Message(content, dst_node_id, message_type, group_id=group_id, ttl=ttl)

    def set_run(self, run: Any) -> None:
        raise NotImplementedError

    @property
    def run(self) -> Any:
        raise NotImplementedError

    def _deliver(self, message: Message) -> str:
        node = message.metadata.dst_node_id
        number = self._numbers[node]
        if self._gone(number, message):
            return ""
        self._sent += 1
        message.metadata.__dict__["_message_id"] = key = str(self._sent)
        before = self._clock.charge(SERVER, "coding")
        request = message_to_proto(message).SerializeToString()
        self.down[number] += len(request)
        self._clock.charge(number, "coding")
        arrived = message_from_proto(MessageProto.FromString(request))
        state = recorddict_from_proto(RecordDictProto.FromString(self._states[number]))
        context = Context(run_id=1, node_id=node, node_config={}, state=state, run_config={})
        self._clock.charge(number, "handling")
        answer = self._call(arrived, context)
        self._clock.charge(number, "coding")
        if answer.has_error():
            raise SystemExit(f"client {number}: {answer.error.reason}")
        reply = message_to_proto(answer).SerializeToString()
        self._states[number] = recorddict_to_proto(context.state).SerializeToString()
        self._clock.charge(*before)
        self.up[number] += len(reply)
        self.kept[number] = max(self.kept[number], len(self._states[number]))
        self._replies[key] = reply
        return key


class Task:
    """What is aggregated, and how long the stand-in for training took."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.clients: int = settings["clients"]
        self.length: int = settings["length"]
        self.lost = frozenset(updates.lost(self.clients, settings["lost"]))
        random.seed(updates.SEED)
        np.random.seed(updates.SEED)
        # Real node numbers are as long as these.
        self.nodes = [random.getrandbits(63) for _ in range(self.clients)]
        self.clock = Clock()
        self.training = 0.0
        TaskIdentity.task_id = TaskIdentity.run_id = TaskIdentity.node_id = 1

    def trained(self, node: int) -> tuple[np.ndarray[Any, np.dtype[np.float32]], int]:
        """This node's update and its examples; off the clock."""
        before, began = self.clock.charge(OUTSIDE, ""), time.monotonic()
        number = self.nodes.index(node)
        found = updates.update(number, self.length), updates.weight(number)
        self.training += time.monotonic() - began
        self.clock.charge(*before)
        return found

    def model(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        """What all clients are sent."""
        return np.zeros(self.length, np.float32)


class WithModel(Strategy):
    """All clients train on the model."""

    def __init__(self, task: Task) -> None:
        super().__init__(task.nodes)
        self._parameters = ndarrays_to_parameters([task.model()])

    def configure_fit(self, *_: Any) -> list[tuple[Any, FitIns]]:
        return [(proxy, FitIns(self._parameters, {})) for proxy in self._proxies]


def rival(task: Task, shares: int, threshold: int) -> tuple[Wire, np.ndarray[Any, Any], list[int]]:
    """A round of Flower's own: the wire, the mean and who is in it."""
    masked: list[int] = []

    def train(message: Message, context: Context) -> Message:
        update, examples = task.trained(context.node_id)
        parameters = ndarrays_to_parameters([update])
        result = FitRes(Status(Code.OK, ""), parameters, examples, {})
        return Message(fitres_to_recorddict(result, False), reply_to=message)

    def call(message: Message, context: Context) -> Message:
        return secaggplus_mod(message, context, train)

    def gone(number: int, message: Message) -> bool:
        stage = message.content.config_records[RECORD_KEY_CONFIGS][Key.STAGE]
        late = stage in (Stage.COLLECT_MASKED_VECTORS, Stage.UNMASK)
        if stage == Stage.COLLECT_MASKED_VECTORS and number not in task.lost:
            masked.append(number)
        return late and number in task.lost

    wire, strategy = Wire(task.nodes, task.clock, call, gone), WithModel(task)
    state = RecordDict(
        {
            MAIN_CONFIGS_RECORD: ConfigRecord({WorkflowKey.CURRENT_ROUND: 1}),
            MAIN_PARAMS_RECORD: ArrayRecord(),
        }
    )
    outer = Context(run_id=1, node_id=0, node_config={}, state=state, run_config={})
    workflow = SecAggPlusWorkflow(shares, threshold)
    assert workflow.clipping_range == updates.CLIP
    assert workflow.max_weight == updates.MAX_WEIGHT
    assert workflow.quantization_range == updates.QUANTIZATION_RANGE
    lenient: Any = strategy
    workflow(wire, LegacyContext(outer, strategy=lenient))
    if strategy.mean is None:
        raise SystemExit("Flower's workflow halted without a result")
    return wire, strategy.mean, masked


def ours(
    task: Task, protocol: str, settings: Settings
) -> tuple[Wire, np.ndarray[Any, Any], list[int]]:
    """A round of the adapter's, the first of its job: the wire, the mean and who is in it."""
    app = ClientApp(mods=[secagg_mod(protocol)])

    @app.train()
    def train(message: Message, context: Context) -> Message:
        update, examples = task.trained(context.node_id)
        metrics = MetricRecord({"num-examples": examples})
        content = RecordDict({"arrays": ArrayRecord([update]), "metrics": metrics})
        return Message(content, reply_to=message)

    steps = [0] * task.clients

    def gone(number: int, message: Message) -> bool:
        word, _ = words.unpack(message.content)
        steps[number] += isinstance(word, words.Step)
        return number in task.lost and steps[number] >= MASKED_STEP

    wire = Wire(task.nodes, task.clock, app, gone)
    secure = SecureGrid(wire, protocol, settings=settings)
    content = RecordDict(
        {"arrays": ArrayRecord([task.model()]), "config": ConfigRecord({"server-round": 1})}
    )
    messages = [Message(content, dst_node_id=node, message_type="train") for node in task.nodes]
    replies = [each for each in secure.send_and_receive(messages) if each.has_content()]
    assert secure.last is not None
    included = [task.nodes.index(node) for node in secure.last.included]
    (mean,) = replies[0].content.array_records["arrays"].to_numpy_ndarrays()
    return wire, mean, included


def measured(settings: dict[str, Any]) -> dict[str, Any]:
    """One round of one side, as a document."""
    task = Task(settings)
    began = time.monotonic()
    task.clock.charge(SERVER, "handling")
    if settings["side"] == "rival":
        wire, mean, included = rival(task, settings["shares"], settings["threshold"])
    else:
        chosen = Settings(
            clip=updates.CLIP,
            max_weight=updates.MAX_WEIGHT,
            fraction_bits=settings["fraction_bits"],
            corrupt=Decimal(settings["corrupt"]),
            dropout=Decimal(settings["dropout"]),
            sigma=settings["sigma"],
        )
        # CPU seconds are compared, and Flower computes on one thread.
        with kernels.using_threads(1):
            wire, mean, included = ours(task, settings["protocol"], chosen)
    task.clock.charge(OUTSIDE, "")
    wall = time.monotonic() - began - task.training
    assert sorted(included) == [n for n in range(task.clients) if n not in task.lost]
    seconds = task.clock.seconds

    def median(values: Callable[[int], float]) -> float:
        return statistics.median(values(number) for number in included)

    return {
        "versions": {package: version(package) for package in PACKAGES},
        "task": settings,
        "included": len(included),
        "wall_seconds": wall,
        "client_seconds": median(lambda number: seconds[number, "handling"]),
        "client_coding_seconds": median(lambda number: seconds[number, "coding"]),
        "server_seconds": seconds[SERVER, "handling"],
        "server_coding_seconds": seconds[SERVER, "coding"],
        "up": median(lambda number: wire.up[number]),
        "down": median(lambda number: wire.down[number]),
        "kept": median(lambda number: wire.kept[number]),
        "error": float(np.max(np.abs(mean - updates.clipped_mean(included, task.length)))),
    }


if __name__ == "__main__":
    disable(CRITICAL)
    print(json.dumps(measured(json.loads(sys.argv[1]))))

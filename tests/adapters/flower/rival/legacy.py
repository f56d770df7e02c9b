"""Flower's own SecAgg+ in this process: its workflow, its mod, and a grid between them.

Whoever carries the messages may lose answers and may change requests: that is what a network and
a server can do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Error, Message, RecordDict
from flwr.app.message import make_message
from flwr.client.mod import secaggplus_mod
from flwr.clientapp.typing import ClientAppCallable
from flwr.common import (
    Code,
    FitIns,
    FitRes,
    Parameters,
    Status,
    ndarrays_to_parameters,
    parameters_to_ndarrays,
)
from flwr.common.secure_aggregation.secaggplus_constants import RECORD_KEY_CONFIGS, Key, Stage
from flwr.compat.common.recorddict_compat import fitres_to_recorddict
from flwr.server import LegacyContext
from flwr.server.workflow import SecAggPlusWorkflow
from flwr.server.workflow.constant import MAIN_CONFIGS_RECORD, MAIN_PARAMS_RECORD
from flwr.server.workflow.constant import Key as WorkflowKey
from flwr.supercore.task_identity import TaskIdentity

NODES: Final = 1_000_000_000
"""The number of the first node; real ones are large as well."""

STAGES: Final = (
    Stage.SETUP,
    Stage.SHARE_KEYS,
    Stage.COLLECT_MASKED_VECTORS,
    Stage.UNMASK,
)

Vector = np.ndarray[Any, np.dtype[Any]]
Tamper = Callable[[int, ConfigRecord], None]


@dataclass
class Trained:
    """What a client's training gave: a vector and the number of its examples."""

    update: Vector
    examples: int = 1000


@dataclass
class Legacy:
    """One round among these clients.

    Attributes:
        trained: per client.
        shares, threshold: of the workflow, as a user gives them.
        lost: client to the stage from which on it answers nothing.
        tamper: stage to what the server's side changes in a client's request.
        options: of the workflow.
        mean: what the strategy was given, None where it was given nothing.
        errors: what clients raised, in order.
        sent: stage to client to its answer.
        app: what stands in the place of the mod and the training behind it, None for those.
    """

    trained: list[Trained]
    shares: int | float
    threshold: int | float
    lost: Mapping[int, str] = field(default_factory=dict)
    tamper: Mapping[str, Tamper] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    mean: Vector | None = None
    errors: list[Exception] = field(default_factory=list)
    sent: dict[str, dict[int, RecordDict]] = field(default_factory=dict)
    app: ClientAppCallable | None = None

    def __post_init__(self) -> None:
        TaskIdentity.task_id = TaskIdentity.run_id = TaskIdentity.node_id = 1
        self.contexts = [_context(NODES + number) for number in range(len(self.trained))]

    def run(self) -> Vector | None:
        """The mean that the strategy gets, or None if it gets none."""
        state = RecordDict(
            {
                MAIN_CONFIGS_RECORD: ConfigRecord({WorkflowKey.CURRENT_ROUND: 1}),
                MAIN_PARAMS_RECORD: ArrayRecord(),
            }
        )
        outer = _context(0, state)
        workflow = SecAggPlusWorkflow(self.shares, self.threshold, **self.options)
        strategy: Any = self
        grid: Any = self
        workflow(grid, LegacyContext(outer, strategy=strategy))
        return self.mean

    def true_mean(self, numbers: Iterable[int] | None = None) -> Vector:
        """The weighted mean of these clients, all by default, in double."""
        those = [self.trained[number] for number in numbers or range(len(self.trained))]
        weights = [client.examples for client in those]
        return np.average([client.update for client in those], axis=0, weights=weights)

    def state_of(self, number: int) -> ConfigRecord:
        """What the mod keeps in a client's state."""
        (record,) = self.contexts[number].state.config_records.values()
        return record

    def configure_fit(self, *_: Any) -> list[tuple[Any, FitIns]]:
        """Strategy: the empty model for every client."""
        proxies = [SimpleNamespace(node_id=context.node_id) for context in self.contexts]
        return [(proxy, FitIns(Parameters([], ""), {})) for proxy in proxies]

    def aggregate_fit(self, _: int, results: Any, __: Any) -> tuple[None, dict[str, Any]]:
        """Strategy: every result holds the mean already."""
        (self.mean,) = parameters_to_ndarrays(results[0][1].parameters)
        return None, {}

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> list[Message]:
        """Grid: the answers of the clients that are there, errors among them."""
        del timeout
        return [answer for message in messages if (answer := self._deliver(message))]

    def _deliver(self, message: Message) -> Message | None:
        number = message.metadata.dst_node_id - NODES
        configs = ConfigRecord(dict(message.content.config_records[RECORD_KEY_CONFIGS]))
        stage = str(configs[Key.STAGE])
        if number in self.lost and STAGES.index(stage) >= STAGES.index(self.lost[number]):
            return None
        if stage in self.tamper:
            self.tamper[stage](number, configs)
        content = RecordDict(dict(message.content))
        content[RECORD_KEY_CONFIGS] = configs
        arrived = make_message(message.metadata, content)
        try:
            context = self.contexts[number]
            if self.app is None:
                answer = secaggplus_mod(arrived, context, self._train)
            else:
                answer = self.app(arrived, context)
        except Exception as error:
            # As Flower's runtime does: the server sees an error in the client's place.
            self.errors.append(error)
            return Message(Error(code=0, reason=repr(error)), reply_to=message)
        self.sent.setdefault(stage, {})[number] = answer.content
        return answer

    def _train(self, message: Message, context: Context) -> Message:
        client = self.trained[context.node_id - NODES]
        parameters = ndarrays_to_parameters([client.update])
        result = FitRes(Status(Code.OK, ""), parameters, client.examples, {})
        return Message(fitres_to_recorddict(result, False), reply_to=message)


def some(clients: int, length: int = 50, examples: int = 1000) -> list[Trained]:
    """Clients with normal updates, float32, the same in every run."""
    generator = np.random.default_rng(1)
    return [
        Trained(generator.standard_normal(length).astype(np.float32), examples)
        for _ in range(clients)
    ]


def request(node: int, configs: Mapping[str, Any], kind: str = "train") -> Message:
    """A message of a server to a node, with these configurations of SecAgg+."""
    TaskIdentity.task_id = TaskIdentity.run_id = TaskIdentity.node_id = 1
    content = RecordDict({RECORD_KEY_CONFIGS: ConfigRecord(dict(configs))})
    return Message(content, dst_node_id=node, message_type=kind)


def _context(node: int, state: RecordDict | None = None) -> Context:
    return Context(
        run_id=1, node_id=node, node_config={}, state=state or RecordDict(), run_config={}
    )

"""Flower's own SecAgg+ in this process: its workflow, its mod, and what carries messages between.

Nothing of Flower's is changed. Whoever carries the messages may lose answers and may change
requests: that is what a network, and a server that lies, can do. It is there to be audited
(`secagg.adapters.flower.audited`); nothing else in this package uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Final, TypeAlias

import numpy.typing as npt
from flwr.app import ArrayRecord, ConfigRecord, Context, Error, Message, RecordDict
from flwr.app.message import make_message
from flwr.client.mod import secaggplus_mod
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
"""The number of the first node: real ones are large as well, and its size is that of a message."""

STAGES: Final = (
    Stage.SETUP,
    Stage.SHARE_KEYS,
    Stage.COLLECT_MASKED_VECTORS,
    Stage.UNMASK,
)

Vector: TypeAlias = npt.NDArray[Any]
Tamper: TypeAlias = Callable[[int, ConfigRecord], None]


@dataclass
class Round:
    """One round of Flower's workflow among clients that follow its mod.

    Attributes:
        updates: what each client's training gave.
        examples: of each client.
        shares, threshold: of the workflow, as its users give them.
        options: more of the workflow's; its defaults where left out.
        lost: client to the stage from which on nothing of it arrives.
        tamper: stage to what the server's side changes in a client's request.
        mean: what the strategy was given; None where it was given nothing.
        errors: what clients raised, in order.
        asked: stage to client to what it was asked.
        sent: stage to client to its answer.
    """

    updates: Sequence[Vector]
    examples: Sequence[int]
    shares: int | float
    threshold: int | float
    options: Mapping[str, Any] = field(default_factory=dict)
    lost: Mapping[int, str] = field(default_factory=dict)
    tamper: Mapping[str, Tamper] = field(default_factory=dict)
    mean: Vector | None = None
    errors: list[Exception] = field(default_factory=list)
    asked: dict[str, dict[int, ConfigRecord]] = field(default_factory=dict)
    sent: dict[str, dict[int, RecordDict]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Flower's runtime sets these for a process; messages cannot be made without.
        TaskIdentity.task_id = TaskIdentity.run_id = TaskIdentity.node_id = 1
        self._contexts = [_context(NODES + number) for number in range(len(self.updates))]

    def run(self) -> Vector | None:
        """The mean that the strategy gets; None if it gets none. Flower raises for neither."""
        state = RecordDict(
            {
                MAIN_CONFIGS_RECORD: ConfigRecord({WorkflowKey.CURRENT_ROUND: 1}),
                MAIN_PARAMS_RECORD: ArrayRecord(),
            }
        )
        workflow = SecAggPlusWorkflow(self.shares, self.threshold, **self.options)
        # The round is the strategy and the grid of the workflow: it asks nothing else of either.
        both: Any = self
        workflow(both, LegacyContext(_context(0, state), strategy=both))
        return self.mean

    def ask(self, number: int, configs: Mapping[str, Any]) -> ConfigRecord:
        """A client's answer to a request that Flower's server would not make.

        Raises whatever the mod raises.
        """
        content = RecordDict({RECORD_KEY_CONFIGS: ConfigRecord(dict(configs))})
        message = Message(content, dst_node_id=NODES + number, message_type="train")
        answer = self.handle(message, self._contexts[number])
        return answer.content.config_records[RECORD_KEY_CONFIGS]

    def handle(self, message: Message, context: Context) -> Message:
        """What a client does with a message: Flower's mod, and the training behind it."""
        return secaggplus_mod(message, context, self._train)

    def configs(self, stage: str, number: int) -> ConfigRecord:
        """What a client answered at a stage."""
        return self.sent[stage][number].config_records[RECORD_KEY_CONFIGS]

    def state_of(self, number: int) -> ConfigRecord:
        """What the mod keeps of a client between messages."""
        (record,) = self._contexts[number].state.config_records.values()
        return record

    def configure_fit(self, *_: Any) -> list[tuple[Any, FitIns]]:
        """Strategy: the empty model for every client."""
        proxies = [SimpleNamespace(node_id=context.node_id) for context in self._contexts]
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
        self.asked.setdefault(stage, {})[number] = ConfigRecord(dict(configs))
        content = RecordDict(dict(message.content))
        content[RECORD_KEY_CONFIGS] = configs
        arrived = make_message(message.metadata, content)
        try:
            answer = self.handle(arrived, self._contexts[number])
        except Exception as error:
            # As Flower's runtime does: the server sees an error in the client's place.
            self.errors.append(error)
            return Message(Error(code=0, reason=repr(error)), reply_to=message)
        self.sent.setdefault(stage, {})[number] = answer.content
        return answer

    def _train(self, message: Message, context: Context) -> Message:
        number = context.node_id - NODES
        parameters = ndarrays_to_parameters([self.updates[number]])
        result = FitRes(Status(Code.OK, ""), parameters, self.examples[number], {})
        return Message(fitres_to_recorddict(result, False), reply_to=message)


def _context(node: int, state: RecordDict | None = None) -> Context:
    return Context(
        run_id=1, node_id=node, node_config={}, state=state or RecordDict(), run_config={}
    )

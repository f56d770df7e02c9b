"""One round of Flower's SecAgg+ in this process; run by flower.py in Flower's own environment.

The real `SecAggPlusWorkflow` drives the real `secaggplus_mod` of every client. What is ours is
around them: a grid that turns every message into bytes and back, a stand-in for training, and a
strategy that takes the mean as it comes (FedAvg would average as many copies of it as there are
clients, which is left out of Flower's bill). The model itself is not sent.

CPU seconds are the process's, since Flower shares secrets in threads. They are charged to the party
that is at work, handling apart from turning messages into bytes and back.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.metadata import version
from logging import CRITICAL, disable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, RecordDict
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
from flwr.common.secure_aggregation.secaggplus_constants import Key, Stage
from flwr.common.serde import recorddict_from_proto, recorddict_to_proto
from flwr.compat.common.recorddict_compat import fitres_to_recorddict
from flwr.proto.recorddict_pb2 import RecordDict as RecordDictProto
from flwr.server import LegacyContext
from flwr.server.workflow import SecAggPlusWorkflow
from flwr.server.workflow.constant import MAIN_CONFIGS_RECORD, MAIN_PARAMS_RECORD
from flwr.server.workflow.constant import Key as WorkflowKey
from flwr.supercore.task_identity import TaskIdentity

sys.path.insert(0, str(Path(__file__).parent.parent))

import updates

WORKFLOW = "flwr.server.workflow.secure_aggregation.secaggplus_workflow"
MOD = "flwr.client.mod.secure_aggregation.secaggplus_mod"
PACKAGES = ("flwr", "numpy", "cryptography", "pycryptodome", "protobuf")
SERVER = "server"
OUTSIDE = "outside"


class Clock:
    """Whose CPU seconds these are: (party, what it does) to seconds."""

    def __init__(self) -> None:
        self.seconds: defaultdict[tuple[object, str], float] = defaultdict(float)
        self._account: tuple[object, str] = (OUTSIDE, "")
        self._since = time.process_time()

    def charge(self, party: object, work: str) -> tuple[object, str]:
        """From now on this account is charged; the one before is returned."""
        now, before = time.process_time(), self._account
        self.seconds[before] += now - self._since
        self._account, self._since = (party, work), now
        return before


class Sampled:
    """A function of which the first `limit` calls of a kind run; more get the last result again."""

    def __init__(self, function: Callable[..., Any], limit: int, kind: Callable[..., str]) -> None:
        self._function, self._limit, self._kind = function, limit, kind
        self._last: dict[str, Any] = {}
        self.seconds: defaultdict[str, list[float]] = defaultdict(list)
        self.skipped: defaultdict[str, int] = defaultdict(int)

    def __call__(self, *arguments: Any) -> Any:
        kind = self._kind(*arguments)
        if len(self.seconds[kind]) < self._limit:
            began = time.process_time()
            self._last[kind] = self._function(*arguments)
            self.seconds[kind].append(time.process_time() - began)
        else:
            self.skipped[kind] += 1
        return self._last[kind]

    def missing(self) -> float:
        """What the calls that did not run would have taken, by the medians of those that did."""
        return sum(n * statistics.median(self.seconds[kind]) for kind, n in self.skipped.items())

    def describe(self) -> dict[str, Any]:
        """Calls that ran, calls that were scaled, and the median, by kind."""
        return {
            kind: {
                "measured": len(seconds),
                "scaled": self.skipped[kind],
                "median_seconds": statistics.median(seconds),
            }
            for kind, seconds in self.seconds.items()
        }


class Strategy:
    """All clients train, on an empty model; the mean is taken as it comes."""

    def __init__(self, nodes: Iterable[int]) -> None:
        self._proxies = [SimpleNamespace(node_id=node) for node in nodes]
        self.mean: np.ndarray[Any, Any] | None = None

    def configure_fit(self, *_: Any) -> list[tuple[Any, FitIns]]:
        """The empty model for every client."""
        return [(proxy, FitIns(Parameters([], ""), {})) for proxy in self._proxies]

    def aggregate_fit(self, _: int, results: Any, __: Any) -> tuple[None, dict[str, Any]]:
        """Every result holds the mean already."""
        (self.mean,) = parameters_to_ndarrays(results[0][1].parameters)
        return None, {}


class Grid:
    """Delivers every message to its client at once, through bytes, and brings back the answer."""

    def __init__(self, task: dict[str, int], nodes: list[int], clock: Clock) -> None:
        self._length, self._clock = task["length"], clock
        self._numbers = {node: number for number, node in enumerate(nodes)}
        self._lost = set(updates.lost(task["clients"], task["lost"]))
        self._contexts = [
            Context(run_id=1, node_id=node, node_config={}, state=RecordDict(), run_config={})
            for node in nodes
        ]
        self.up = [0] * len(nodes)
        self.down = [0] * len(nodes)
        self.masked: list[int] = []

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> list[Message]:
        """The answers of the clients that are there."""
        del timeout
        before = self._clock.charge(OUTSIDE, "")
        answers = [answer for message in messages if (answer := self._deliver(message))]
        self._clock.charge(*before)
        return answers

    def _deliver(self, message: Message) -> Message | None:
        charge = self._clock.charge
        number = self._numbers[message.metadata.dst_node_id]
        charge(SERVER, "coding")
        request = recorddict_to_proto(message.content).SerializeToString()
        self.down[number] += len(request)
        charge(number, "coding")
        content = recorddict_from_proto(RecordDictProto.FromString(request))
        charge(OUTSIDE, "")
        (stage,) = (
            record[Key.STAGE] for record in content.config_records.values() if Key.STAGE in record
        )
        if number in self._lost and stage in (Stage.COLLECT_MASKED_VECTORS, Stage.UNMASK):
            return None
        arrived = Message(content, metadata=message.metadata)
        if stage == Stage.COLLECT_MASKED_VECTORS:
            self.masked.append(number)
        charge(number, stage)
        answer = secaggplus_mod(arrived, self._contexts[number], self._train)
        charge(number, "coding")
        reply = recorddict_to_proto(answer.content).SerializeToString()
        self.up[number] += len(reply)
        charge(SERVER, "coding")
        answer.content = recorddict_from_proto(RecordDictProto.FromString(reply))
        charge(OUTSIDE, "")
        return answer

    def _train(self, message: Message, context: Context) -> Message:
        before = self._clock.charge(OUTSIDE, "")
        number = self._numbers[context.node_id]
        result = FitRes(
            status=Status(Code.OK, ""),
            parameters=ndarrays_to_parameters([updates.update(number, self._length)]),
            num_examples=updates.weight(number),
            metrics={},
        )
        trained = Message(fitres_to_recorddict(result, False), reply_to=message)
        self._clock.charge(*before)
        return trained


def measured(task: dict[str, int]) -> dict[str, Any]:
    """One round, as a document."""
    clients, sample = task["clients"], task["sample"]
    random.seed(updates.SEED)
    np.random.seed(updates.SEED)
    # Real node numbers are as long as these.
    nodes = [random.getrandbits(63) for _ in range(clients)]
    TaskIdentity.task_id = TaskIdentity.run_id = TaskIdentity.node_id = 1
    clock, strategy = Clock(), Strategy(nodes)
    grid = Grid(task, nodes, clock)
    state = RecordDict(
        {
            MAIN_CONFIGS_RECORD: ConfigRecord({WorkflowKey.CURRENT_ROUND: 1}),
            MAIN_PARAMS_RECORD: ArrayRecord(),
        }
    )
    outer = Context(run_id=1, node_id=0, node_config={}, state=state, run_config={})
    workflow = SecAggPlusWorkflow(task["shares"], task["threshold"])
    assert workflow.clipping_range == updates.CLIP
    assert workflow.max_weight == updates.MAX_WEIGHT
    assert workflow.quantization_range == updates.QUANTIZATION_RANGE
    sampled = _sample(sample, grid) if sample else {}
    began = time.monotonic()
    clock.charge(SERVER, "handling")
    workflow(grid, LegacyContext(outer, strategy=strategy))
    clock.charge(OUTSIDE, "")
    if strategy.mean is None:
        raise SystemExit("Flower's workflow halted without a result")
    stayed = [number for number in range(clients) if number in set(grid.masked)]
    full = grid.masked[:sample] if sample else grid.masked
    seconds = clock.seconds
    stages = {
        stage: statistics.median(seconds[number, stage] for number in full)
        for stage in (*Stage.all(), "coding")
    }
    handling = [sum(seconds[number, stage] for stage in Stage.all()) for number in full]
    error = None
    if not sample:
        error = float(np.max(np.abs(strategy.mean - updates.clipped_mean(stayed, task["length"]))))
    return {
        "versions": {package: version(package) for package in PACKAGES},
        "task": task,
        "defaults": {
            "clipping_range": workflow.clipping_range,
            "quantization_range": workflow.quantization_range,
            "modulus_range": workflow.modulus_range,
            "max_weight": workflow.max_weight,
        },
        "included": len(stayed),
        "client_seconds": statistics.median(handling),
        "client_coding_seconds": stages.pop("coding"),
        "client_stages": stages,
        "clients_in_full": len(full),
        "server_seconds": seconds[SERVER, "handling"] + sum(s.missing() for s in sampled.values()),
        "server_coding_seconds": seconds[SERVER, "coding"],
        "server_measured_seconds": seconds[SERVER, "handling"],
        "server_scaled": {name: function.describe() for name, function in sampled.items()},
        "up": statistics.median(grid.up[number] for number in stayed),
        "down": statistics.median(grid.down[number] for number in stayed),
        "error": error,
        "wall_seconds": round(time.monotonic() - began, 1),
    }


def _sample(limit: int, grid: Grid) -> dict[str, Sampled]:
    """Let only some of the costly calls run, and only some clients expand their masks."""
    workflow: Any = import_module(WORKFLOW)
    mod: Any = import_module(MOD)
    combine = Sampled(
        workflow.combine_shares, limit, lambda shares: f"secret of {len(shares[0])}-byte shares"
    )
    expand = Sampled(workflow.pseudo_rand_gen, limit, lambda *_: "mask")
    workflow.combine_shares, workflow.pseudo_rand_gen = combine, expand
    in_full, last = mod.pseudo_rand_gen, [None]

    def of_client(*arguments: Any) -> Any:
        if len(grid.masked) <= limit or last[0] is None:
            last[0] = in_full(*arguments)
        return last[0]

    mod.pseudo_rand_gen = of_client
    return {"combine_shares": combine, "pseudo_rand_gen": expand}


if __name__ == "__main__":
    disable(CRITICAL)
    print(json.dumps(measured(json.loads(sys.argv[1]))))

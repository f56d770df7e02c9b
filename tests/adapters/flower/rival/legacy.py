"""Flower's own SecAgg+ in this process, as `secagg.adapters.flower.secaggplus` drives it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp.typing import ClientAppCallable
from flwr.common.secure_aggregation.secaggplus_constants import RECORD_KEY_CONFIGS
from flwr.supercore.task_identity import TaskIdentity

from secagg.adapters.flower.secaggplus import NODES, Round, Tamper, Vector

__all__ = ["NODES", "Legacy", "Trained", "request", "some"]


@dataclass
class Trained:
    """What a client's training gave: a vector and the number of its examples."""

    update: Vector
    examples: int = 1000


class Legacy(Round):
    """One round among these clients.

    Args:
        trained: per client.
        shares, threshold: of the workflow, as a user gives them.
        lost, tamper: as of `Round`.
        app: what stands in the place of the mod and the training behind it, None for those.
    """

    def __init__(
        self,
        trained: list[Trained],
        shares: int | float,
        threshold: int | float,
        lost: Mapping[int, str] | None = None,
        tamper: Mapping[str, Tamper] | None = None,
        app: ClientAppCallable | None = None,
    ) -> None:
        super().__init__(
            [client.update for client in trained],
            [client.examples for client in trained],
            shares,
            threshold,
            lost=lost or {},
            tamper=tamper or {},
        )
        self.trained, self.app = trained, app

    def handle(self, message: Message, context: Context) -> Message:
        """By the app, if there is one."""
        return self.app(message, context) if self.app else super().handle(message, context)

    def true_mean(self, numbers: Iterable[int] | None = None) -> Vector:
        """The weighted mean of these clients, all by default, in double."""
        those = [self.trained[number] for number in numbers or range(len(self.trained))]
        weights = [client.examples for client in those]
        return np.average([client.update for client in those], axis=0, weights=weights)


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

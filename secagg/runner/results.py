"""What a simulation is asked and what it answers: plain records, ready for JSON.

Field names are part of the schema "secagg.simulate/1".
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from secagg.crypto.rng import SEED_BYTES
from secagg.errors import ParameterError
from secagg.protocol import Level, Task
from secagg.types import client

DONE: Final = "done"
ABORTED: Final = "aborted"
WRONG: Final = "wrong"

SPREAD: Final = "spread"
"""Losses in all phases alike."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What is simulated.

    Attributes:
        protocol: its name.
        clients: how many.
        length: elements of each vector.
        bound: every |element| is at most this.
        level: the server that the plan must withstand.
        corrupt: fraction of the clients that the plan must withstand.
        dropout: fraction of the clients that the plan must be able to lose.
        lose: fraction of the clients that really vanish in every session, rounded down.
        lost_at: the client's phase in which they vanish, or `SPREAD`.
        workers: processes in which the clients live; 0 for this one.
        threads: of kernels, in every process.
        seed: decides keys, inputs and losses.
        sessions: how many, one after the other.

    Raises:
        ParameterError: on construction, for settings that mean nothing.
    """

    protocol: str
    clients: int
    length: int
    bound: int
    level: Level = Level.CURIOUS
    corrupt: Decimal = Decimal("0.1")
    dropout: Decimal = Decimal("0.1")
    lose: Decimal = Decimal("0.1")
    lost_at: str = SPREAD
    workers: int = 0
    threads: int = 1
    seed: int = 0
    sessions: int = 1

    def __post_init__(self) -> None:
        for name, least in (("clients", 1), ("workers", 0), ("threads", 1), ("sessions", 1)):
            if getattr(self, name) < least:
                raise ParameterError(
                    f"{name}: expected at least {least}, got {getattr(self, name)}"
                )
        if not 0 <= self.lose < 1:
            raise ParameterError(f"lose is a fraction in [0, 1), got {self.lose}")
        if not 0 <= self.seed < 1 << 8 * SEED_BYTES:
            raise ParameterError(f"a seed has at most {SEED_BYTES} bytes, got {self.seed}")

    @property
    def lost(self) -> int:
        """How many clients vanish in a session."""
        return int(self.lose * self.clients)

    @property
    def task(self) -> Task:
        """What every session's plan is made for."""
        return Task(
            clients=tuple(client(number) for number in range(self.clients)),
            length=self.length,
            bound=self.bound,
            level=self.level,
            corrupt=self.corrupt,
            dropout=self.dropout,
        )


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One session. Without a sum there is no error; costs are those of whoever finished.

    Attributes:
        session: from 0.
        status: done, aborted (more vanished than the plan can lose), or wrong.
        reason: why it is not done.
        included: clients in the sum.
        lost: clients that vanished.
        lost_but_included: those of them whose vectors had arrived.
        claims_exact: whether the protocol promises the exact sum.
        exact: whether the sum is that of the included inputs, bit by bit.
        max_error: the largest |error| of an element.
        error_bound: what the plan promises of it.
        sum_sha256: of the sum, as its elements lie in memory, in hexadecimal.
        wall_seconds: of the round, without the start of the workers and without the check.
        server_cpu_seconds: of whoever adds the vectors.
        role_cpu_seconds: of each other role that is not the clients', by name.
        client_cpu_seconds_median: of a client.
        client_cpu_seconds_max: of the slowest client.
        bytes_up: of a client, the median.
        bytes_down: of a client, the median.
        server_peak_bytes: of the resident memory of this process, up to the sum.
        server_growth_bytes: over the resident memory before the first session.
        worker_peak_bytes: of the resident memory of each worker.
    """

    session: int
    status: str = DONE
    reason: str | None = None
    included: int = 0
    lost: int = 0
    lost_but_included: int = 0
    claims_exact: bool
    exact: bool | None = None
    max_error: int | None = None
    error_bound: int
    sum_sha256: str | None = None
    wall_seconds: float
    server_cpu_seconds: float
    role_cpu_seconds: dict[str, float] = {}
    client_cpu_seconds_median: float | None = None
    client_cpu_seconds_max: float | None = None
    bytes_up: float | None = None
    bytes_down: float | None = None
    server_peak_bytes: int
    server_growth_bytes: int
    worker_peak_bytes: list[int]


class Simulation(msgspec.Struct, frozen=True, kw_only=True):
    """All sessions, and their plan.

    Attributes:
        plan: its parameters by name.
        planned_dropouts: clients that the plan can lose.
        start_bytes: of the resident memory of this process before the first session.
        rows: by session.
    """

    plan: dict[str, str]
    planned_dropouts: int
    start_bytes: int
    rows: list[Row]

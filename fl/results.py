"""What a comparison is asked and what it answers: plain records, ready for JSON.

Field names are part of the schema "secagg.compare/1": a field may be added, with a default that is
true of older answers; any other change makes a new version.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from fl.contender import RoundRecord
from fl.workload import Source
from secagg.errors import ParameterError
from secagg.protocol import Level

DEFAULT_DATA: Final = "digits"

DONE: Final = "done"
WRONG: Final = "wrong"
ABORTED: Final = "aborted"
REFUSED: Final = "refused"
NOT_OFFERED: Final = "not offered"
UNAVAILABLE: Final = "unavailable"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What is compared, and on what.

    Attributes:
        protocols: by name.
        data: as in `fl.data.load`; ignored if there is a length.
        length: random vectors of this length instead of a training.
        clients: how many, or what the data have by themselves.
        rounds: of training.
        seed: of the first split.
        splits: how often all is repeated, with seeds counted up.
        level: the server that every plan must withstand.
        corrupt: fraction of the clients that every plan must withstand.
        dropout: fraction of the clients that every plan must be able to lose.
        lose: fraction of the clients that really vanish in every round, rounded down.
        workers: processes that encrypt and decrypt for bfv and ckks; 1 is the caller's own.
        experimental: whether protocols are run at a level for which they have no published proof.

    Raises:
        ParameterError: on construction, for settings that mean nothing.
    """

    protocols: tuple[str, ...]
    data: str = DEFAULT_DATA
    length: int | None = None
    clients: int | None = None
    rounds: int = 10
    seed: int = 0
    splits: int = 1
    level: Level = Level.CURIOUS
    corrupt: Decimal = Decimal("0.1")
    dropout: Decimal = Decimal("0.1")
    lose: Decimal = Decimal("0.1")
    workers: int = 1
    experimental: bool = True

    def __post_init__(self) -> None:
        if not self.protocols:
            raise ParameterError("expected at least one protocol")
        for name in ("rounds", "splits", "clients", "length", "workers"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ParameterError(f"{name}: expected at least 1, got {value}")
        if self.seed < 0:
            raise ParameterError(f"a seed is not negative, got {self.seed}")
        if not 0 <= self.lose < 1:
            raise ParameterError(f"lose is a fraction in [0, 1), got {self.lose}")

    @property
    def seeds(self) -> range:
        """One for each split."""
        return range(self.seed, self.seed + self.splits)


class Average(msgspec.Struct, frozen=True):
    """A mean over rounds, with the standard deviation."""

    mean: float
    deviation: float


class Isolation(msgspec.Struct, frozen=True, kw_only=True):
    """The process of its own in which a role of a protocol ran, as it describes itself.

    Attributes:
        kind: what it is; SIMULATED is part of it.
        launches: how many were started, one after the other: each but the first for a lost round.
        launch_cpu_seconds: of one start, on average; it is in no round.
        held: the safeguards that it has.
        missing: those that it could not have, with the reason.
    """

    kind: str
    launches: int
    launch_cpu_seconds: float
    held: list[str]
    missing: list[str]


class Row(msgspec.Struct, kw_only=True):
    """What the comparison says of one protocol at one level. What was not measured is None.

    Attributes:
        protocol: its name.
        level: the one asked for; a protocol that offers more there than at curious is shown at
            curious as well, for the difference in cost.
        title: its title.
        status: done, aborted (in at least one round), refused (the plan), not offered (the level),
            unavailable, or wrong (it claims exact sums and gave others, or accused somebody
            although all were honest).
        reason: why it is not done.
        trusts: whom its users must trust.
        guarantees: what it promises, by kind.
        plan: its parameters, by name.
        isolation: the process in which its isolated role ran, where it has one.
        metric: after the last round, mean over the splits.
        metric_by_split: the same one by one.
        difference: of the metric from that of plain sums over the same clients, mean over the
            splits.
        difference_from_staying: of the metric from that of plain sums over the clients that stay
            to the end; another one where a client vanished after its vector had counted.
        exact: whether every mean had every bit of that of the exact integer sum.
        claims_exact: whether the protocol promises so.
        max_error: the largest of any coordinate of any mean, against double precision.
        error_bound: what codec and protocol promise, in the worst round.
        saturated: coordinates that the codec had to cut, in all rounds.
        client_cpu_seconds: of one client in one round, encoding included.
        server_cpu_seconds: of the server in one round, decoding included.
        role_cpu_seconds: of each role that is neither client nor server, in one round.
        bytes_up: of one client in one round.
        bytes_down: of one client in one round.
        expansion: bytes_up over the size of the model in float32.
        planned_dropouts: clients that the plan allows to vanish.
        survived_dropouts: the most that vanished in a round that ended in a sum.
        lost_after: how many clients vanish in a round after sending 0, 1, ... messages.
        rounds_done: rounds that ended in a sum, of all splits.
        rounds: everything measured, round by round.
    """

    protocol: str
    level: Level = Level.CURIOUS
    title: str = ""
    status: str = DONE
    reason: str | None = None
    trusts: str = ""
    guarantees: dict[str, str] = msgspec.field(default_factory=dict)
    plan: dict[str, str] = msgspec.field(default_factory=dict)
    isolation: Isolation | None = None
    metric: float | None = None
    metric_by_split: list[float] = msgspec.field(default_factory=list)
    difference: float | None = None
    difference_from_staying: float | None = None
    exact: bool | None = None
    claims_exact: bool | None = None
    max_error: float | None = None
    error_bound: float | None = None
    saturated: int = 0
    client_cpu_seconds: Average | None = None
    server_cpu_seconds: Average | None = None
    role_cpu_seconds: dict[str, Average] = msgspec.field(default_factory=dict)
    bytes_up: float | None = None
    bytes_down: float | None = None
    expansion: float | None = None
    planned_dropouts: int | None = None
    survived_dropouts: int | None = None
    lost_after: list[int] = msgspec.field(default_factory=list)
    rounds_done: int = 0
    rounds: list[RoundRecord] = msgspec.field(default_factory=list)


class Learned(msgspec.Struct, frozen=True, kw_only=True):
    """What was trained, and how well without any protocol.

    Attributes:
        clients: how many.
        length: coordinates of the model.
        lost: clients that vanish in every round.
        metric: its name, or None.
        federated: after the last round, averaged in double precision over the clients that stay.
        federated_by_split: the same one by one.
        pooled: the metric of the best fit to everybody's data, if that is defined.
        pooled_by_split: the same one by one.
    """

    clients: int
    length: int
    lost: int
    metric: str | None
    federated: float | None
    federated_by_split: list[float]
    pooled: float | None
    pooled_by_split: list[float]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The data, the training, and a row for each protocol; two where two levels are compared."""

    data: Source
    training: Learned
    rows: list[Row]

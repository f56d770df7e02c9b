"""What can happen to a party, and what a party can ask for.

Events: a message from a peer, `Input`, `Deadline`, `BeaconHead`, `BeaconValue`. Effects: `Send`,
`Accuse`, `Remember`, `Done`, `Fail`. A driver carries effects out in order; what a `Remember` holds
must be durable before any later effect of the same call is carried out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from secagg.errors import SecaggError
from secagg.types import PartyId, RingVector
from secagg.wire import Message


@dataclass(frozen=True, slots=True)
class Input:
    """The client's vector, in the lanes of the plan's ring. May come at any time, once."""

    vector: RingVector = field(repr=False)


@dataclass(frozen=True, slots=True)
class Deadline:
    """Whoever has not answered in this phase will not. It ends the phase."""

    phase: str


@dataclass(frozen=True, slots=True)
class BeaconHead:
    """The newest round of the public beacon, read by the driver when the party came to want it.

    One that was read before then would make a round look as if it were still to come.
    """

    round: int


@dataclass(frozen=True, slots=True)
class BeaconValue:
    """What the public beacon said in the round that the party waits for."""

    round: int
    value: bytes = field(repr=False)


Event: TypeAlias = Message | Input | Deadline | BeaconHead | BeaconValue


@dataclass(frozen=True, slots=True)
class Send:
    """Deliver a message."""

    to: PartyId
    message: Message


@dataclass(frozen=True, slots=True)
class Accuse:
    """A peer broke the rules; its message was ignored and nothing else changed."""

    culprit: PartyId
    error: SecaggError


@dataclass(frozen=True, slots=True)
class Record:
    """One entry of a party's durable memory: a head, and a tail that needs no copy.

    Records contain secrets: a driver keeps them as it keeps keys. `final` says that this record
    alone restores the party, so everything remembered before may and should be deleted.
    """

    head: bytes = field(repr=False)
    tail: memoryview = field(repr=False)
    final: bool = False


@dataclass(frozen=True, slots=True)
class Remember:
    """Make this durable before carrying out any later effect of the same call."""

    record: Record


@dataclass(frozen=True, slots=True)
class Done:
    """The party has finished. A server's `total` is over the clients in `included`."""

    total: RingVector | None = None
    included: tuple[PartyId, ...] = ()


@dataclass(frozen=True, slots=True)
class Fail:
    """The round is lost for this party, which releases nothing more."""

    reason: str
    error: SecaggError | None = None


Effect: TypeAlias = Send | Accuse | Remember | Done | Fail
Effects: TypeAlias = Iterable[Effect]

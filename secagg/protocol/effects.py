"""What can happen to a party, and what a party can ask for.

Events: a message from a peer, `Input`, `Deadline`, `BeaconHead`, `BeaconValue`. Effects: `Send`,
`Accuse`, `Remember`, `Done`, `Fail`. A driver carries effects out in order; what a `Remember` holds
must be durable before any later effect of the same call is carried out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from secagg.errors import LocalProtocolError, SecaggError
from secagg.protocol.beacon import VALUE_BYTES
from secagg.types import PartyId, RingVector
from secagg.wire import Message

LARGEST_ROUND: Final = (1 << 63) - 1
"""No beacon comes so far; a few rounds more still fit into the eight bytes of a message."""


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
    """The newest round of the public beacon, by the party's own reading.

    What a driver must do, because no party can check it:

    * read it when `Party.wants` says so, and not before: a reading kept from earlier, or repeated
      for a party that was restored, makes rounds that have come look as if they were still to come;
    * from relays of the beacon, or by its own clock, never from the server or by the server's
      word. Of several readings the largest counts: one too small can expose the client, one too
      large only ends the session for it.

    A reading may be one round behind the beacon; clients reckon with that, and with no more.

    Raises:
        LocalProtocolError: on construction, for a number that no round has.
    """

    round: int

    def __post_init__(self) -> None:
        _check_round(self.round)


@dataclass(frozen=True, slots=True)
class BeaconValue:
    """What the public beacon said in the round that the party waits for (`Party.beacon_round`).

    Raises:
        LocalProtocolError: on construction, for a number that no round has, or a value larger
            than that of any beacon.
    """

    round: int
    value: bytes = field(repr=False)

    def __post_init__(self) -> None:
        _check_round(self.round)
        if len(self.value) > VALUE_BYTES:
            raise LocalProtocolError(
                f"a beacon's value has at most {VALUE_BYTES} bytes, got {len(self.value)}"
            )


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


def _check_round(number: int) -> None:
    if not 0 <= number <= LARGEST_ROUND:
        raise LocalProtocolError(f"a round lies in 0..{LARGEST_ROUND}, got {number}")

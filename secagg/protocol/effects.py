"""What can happen to a party, and what a party can ask for.

Events: a message from a peer, `Input`, `Deadline`. Effects: `Send`, `Accuse`, `Remember`, `Done`,
`Fail`. A driver carries effects out in order; what a `Remember` holds must be durable before any
later effect of the same call is carried out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import msgspec

from secagg.errors import DecodeError, SecaggError
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


Event: TypeAlias = Message | Input | Deadline


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

NO_TAIL: Final = memoryview(b"")

START: Final = 0
MESSAGE: Final = 1
INPUT: Final = 2
DEADLINE: Final = 3
CLOSED: Final = 4


class RecordHead(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The head of a record: which event it was, enough to make it happen again.

    `owner` is a digest of the session and the party, so that no other's record passes for it. For
    START `body` is the party's seed, for MESSAGE the encoded message, for DEADLINE the phase,
    for CLOSED the encoded `ClosedState`.
    """

    owner: bytes
    sequence: int
    type: int
    sender: PartyId | None
    kind: int
    body: bytes

    def __repr__(self) -> str:
        return f"RecordHead(sequence={self.sequence}, type={self.type})"

    def record(self, tail: memoryview = NO_TAIL, *, final: bool = False) -> Record:
        """The record with this head."""
        return Record(msgspec.msgpack.encode(self), tail, final)

    @classmethod
    def parse(cls, record: Record) -> RecordHead:
        """The head of a record.

        Raises:
            DecodeError: not a record.
        """
        try:
            return msgspec.msgpack.decode(record.head, type=cls)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise DecodeError(f"not a record: {error}") from None


class StoredSend(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A message that a finished party may have to send again, as bytes."""

    to: PartyId
    kind: int
    body: bytes
    tail: bytes

    def __repr__(self) -> str:
        return f"StoredSend(to={self.to}, kind={self.kind})"


class ClosedState(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """All that is left of a party that has ended: what its last call asked for.

    `event` is the digest of the event that ended it; the same event again gives the same effects,
    any other is refused. No key survives.
    """

    event: bytes
    phase: str
    sends: tuple[StoredSend, ...]
    total: bytes | None
    included: tuple[PartyId, ...]
    failure: str | None

    def __repr__(self) -> str:
        return f"ClosedState(phase={self.phase!r})"

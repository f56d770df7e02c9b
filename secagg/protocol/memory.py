"""A party's memory: what its records say, and how they are read back.

A record holds one event, enough to make it happen again. When the party has ended, one final record
takes the place of all others: what its last call asked for, and no key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
import numpy as np

from secagg.crypto.digest import digest, encode_party
from secagg.errors import DecodeError, LocalProtocolError
from secagg.protocol.effects import (
    BeaconHead,
    BeaconValue,
    Deadline,
    Done,
    Effect,
    Event,
    Fail,
    Input,
    Record,
    Send,
)
from secagg.protocol.task import Session
from secagg.types import PartyId, Secret
from secagg.wire import Message, MessageTable

NO_TAIL: Final = memoryview(b"")

START: Final = 0
MESSAGE: Final = 1
INPUT: Final = 2
DEADLINE: Final = 3
CLOSED: Final = 4
BEACON_HEAD: Final = 5
BEACON_VALUE: Final = 6
ROUND_BYTES: Final = 8


class RecordHead(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The head of a record: which event it was, enough to make it happen again.

    `owner` is a digest of the session and the party, so that no other's record passes for it. For
    START `body` is the party's seed, for MESSAGE the encoded message, for DEADLINE the phase,
    for BEACON_HEAD the round, for BEACON_VALUE the round and the value, for CLOSED the encoded
    `ClosedState`.
    """

    owner: bytes
    sequence: int
    type: int
    sender: PartyId | None
    kind: int
    body: bytes

    def __repr__(self) -> str:
        return f"RecordHead(sequence={self.sequence}, type={self.type})"

    @classmethod
    def parse(cls, record: Record) -> RecordHead:
        """The head of a record.

        Raises:
            DecodeError: not a record.
        """
        try:
            return msgspec.msgpack.decode(record.head, type=cls)
        except (msgspec.MsgspecError, ValueError) as error:  # ValueError: text that is no UTF-8
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


class Memory:
    """Writes and reads the records of one party of one session."""

    def __init__(self, session: Session, me: PartyId, table: MessageTable) -> None:
        self._plan = session.plan
        self._me = me
        self._table = table
        self._owner = digest("records", session.id, encode_party(me))

    def started(self, seed: Secret) -> Record:
        """The first record: the seed from which everything that the party draws is derived."""
        return self._record(0, START, body=seed.reveal())

    def digest_of(self, event: Event, sender: PartyId) -> bytes:
        """32 bytes that tell this event from all others of the party."""
        match event:
            case Message():
                # The tail is left out: of two messages that differ only there, the first counts.
                body = self._table.body(event)
                return digest("event", b"message", bytes((event.KIND,)), encode_party(sender), body)
            case Deadline():
                return digest("event", b"deadline", event.phase.encode())
            case BeaconHead():
                return digest("event", b"beacon head", _round(event))
            case BeaconValue():
                return digest("event", b"beacon value", _round(event), event.value)
            case Input():
                return digest("event", b"input")

    def happened(self, sequence: int, event: Event, sender: PartyId) -> Record:
        """The record of an event; vectors and tails are not copied."""
        if isinstance(event, Message):
            body, tail = self._table.body(event), getattr(event, "tail", NO_TAIL)
            return self._record(sequence, MESSAGE, sender, event.KIND, body, tail)
        if isinstance(event, Deadline):
            return self._record(sequence, DEADLINE, body=event.phase.encode())
        if isinstance(event, BeaconHead):
            return self._record(sequence, BEACON_HEAD, body=_round(event))
        if isinstance(event, BeaconValue):
            return self._record(sequence, BEACON_VALUE, body=_round(event) + event.value)
        return self._record(sequence, INPUT, tail=event.vector.data.cast("B"))

    def ended(self, sequence: int, event: bytes, phase: str, effects: Iterable[Effect]) -> Record:
        """The final record: the digest of the last event and what it led to."""
        effects = tuple(effects)
        done = next((effect for effect in effects if isinstance(effect, Done)), None)
        state = ClosedState(
            event=event,
            phase=phase,
            sends=tuple(self._stored(effect) for effect in effects if isinstance(effect, Send)),
            total=None if done is None or done.total is None else done.total.tobytes(),
            included=() if done is None else done.included,
            failure=next((e.reason for e in effects if isinstance(e, Fail)), None),
        )
        return self._record(sequence, CLOSED, body=msgspec.msgpack.encode(state), final=True)

    def read(self, record: Record) -> RecordHead:
        """The head of a record of this party.

        Raises:
            DecodeError: not a record, or one of another party or session.
        """
        head = RecordHead.parse(record)
        if head.owner != self._owner:
            raise DecodeError(f"expected a record of {self._me} in this session, got another's")
        return head

    def event(self, head: RecordHead, tail: memoryview) -> tuple[Event, PartyId]:
        """The event of a record, and whose it was.

        Raises:
            DecodeError: not the record of an event.
        """
        if head.type == MESSAGE and head.sender is not None:
            return self._table.parse(head.kind, head.body, tail), head.sender
        try:
            if head.type == INPUT:
                return Input(np.frombuffer(tail, dtype=self._plan.ring.dtype)), self._me
            if head.type == DEADLINE:
                return Deadline(head.body.decode()), self._me
            if head.type == BEACON_HEAD and len(head.body) == ROUND_BYTES:
                return BeaconHead(int.from_bytes(head.body, "big")), self._me
            if head.type == BEACON_VALUE and len(head.body) >= ROUND_BYTES:
                number = int.from_bytes(head.body[:ROUND_BYTES], "big")
                return BeaconValue(number, head.body[ROUND_BYTES:]), self._me
        except (ValueError, LocalProtocolError) as error:
            # Not whole lanes, text that is no UTF-8, a round or a value that no beacon has.
            raise DecodeError(f"not the record of an event: {error}") from None
        raise DecodeError(f"expected the record of an event, got type {head.type}")

    def closed(self, head: RecordHead) -> ClosedState:
        """What is left of a party that has ended.

        Raises:
            DecodeError: not a final record.
        """
        try:
            return msgspec.msgpack.decode(head.body, type=ClosedState)
        except (msgspec.MsgspecError, ValueError) as error:
            raise DecodeError(f"not the record of a party that has ended: {error}") from None

    def effects(self, state: ClosedState) -> Iterator[Effect]:
        """What the last call of a party that has ended asked for.

        Raises:
            DecodeError: a message that is none of the party's, or a total of no whole lanes.
        """
        for send in state.sends:
            yield Send(send.to, self._table.parse(send.kind, send.body, memoryview(send.tail)))
        if state.failure is not None:
            yield Fail(state.failure)
        else:
            lanes = self._plan.ring.dtype
            try:
                total = None if state.total is None else np.frombuffer(state.total, dtype=lanes)
            except ValueError as error:
                raise DecodeError(f"not the total of a party that has ended: {error}") from None
            yield Done(total, state.included)

    def _stored(self, send: Send) -> StoredSend:
        message = send.message
        tail = bytes(getattr(message, "tail", b""))
        return StoredSend(send.to, message.KIND, self._table.body(message), tail)

    def _record(
        self,
        sequence: int,
        type_: int,
        sender: PartyId | None = None,
        kind: int = 0,
        body: bytes = b"",
        tail: memoryview = NO_TAIL,
        final: bool = False,
    ) -> Record:
        head = RecordHead(self._owner, sequence, type_, sender, kind, body)
        return Record(msgspec.msgpack.encode(head), tail, final)


def _round(event: BeaconHead | BeaconValue) -> bytes:
    return event.round.to_bytes(ROUND_BYTES, "big")

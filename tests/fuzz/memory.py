"""A party's memory: single records, and parties restored from records that were changed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from functools import cache

import msgspec
from fuzz.storage import of
from fuzz.target import Target
from unit.ledger.world import VICTIM, scenario

from secagg.errors import DecodeError
from secagg.ledger.ledger import _sends
from secagg.protocol import Effect, Input, Party, Record, Remember, Send
from secagg.protocol.memory import CLOSED, Memory, RecordHead
from secagg.types import SERVER, PartyId
from secagg.wire import Message

CHANGE_BYTES = 4
MOST_CHANGES = 6


@cache
def remembered() -> dict[PartyId, tuple[Record, ...]]:
    """What the parties of a session remember until the first of them has ended."""
    world = scenario()  # of its own: another's generator has been drawn from
    parties: dict[PartyId, Party] = {who: world.party(who) for who in world.plan.parties}
    kept: dict[PartyId, list[Record]] = {who: [] for who in parties}
    queue: deque[tuple[PartyId, Message, PartyId]] = deque()

    def carry_out(who: PartyId, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Remember):
                one = effect.record
                kept[who].append(Record(one.head, memoryview(bytes(one.tail)), one.final))
            elif isinstance(effect, Send):
                queue.append((effect.to, effect.message, who))

    for who, party in parties.items():
        carry_out(who, party.start())
    for who, vector in world.inputs.items():
        carry_out(who, parties[who].handle(Input(vector), who))
    while queue and not any(party.ended for party in parties.values()):
        to, message, sender = queue.popleft()
        carry_out(to, parties[to].handle(message, sender))
    return {who: tuple(records) for who, records in kept.items()}


def _memory(data: bytes) -> bytes:
    """A record's head, and a tail of some bytes: its event, or what is left of a party."""
    size = data[0] if data else 0
    tail, head = data[1 : 1 + size], data[1 + size :]
    party = of().party(VICTIM)
    memory = Memory(of().session, VICTIM, party.table)
    record = Record(head, memoryview(tail))
    found = RecordHead.parse(record)
    repr(found)
    with suppress(DecodeError):
        memory.read(record)
    if found.type == CLOSED:
        state = memory.closed(found)
        repr(state)
        list(memory.effects(state))
        _sends(record)
    else:
        event, sender = memory.event(found, record.tail)
        assert memory.digest_of(event, sender)
        again = memory.happened(found.sequence, event, sender)
        assert bytes(again.tail) == tail or not isinstance(event, Message | Input)
    return data[: 1 + size] + msgspec.msgpack.encode(found)


def _memory_seeds() -> Iterator[bytes]:
    for record in (*remembered()[VICTIM], *remembered()[SERVER][:3]):
        tail = bytes(record.tail)
        if len(tail) < 256 and len(record.head) < 1024:
            yield bytes((len(tail),)) + tail + record.head
    memory = Memory(of().session, VICTIM, of().party(VICTIM).table)
    yield b"\0" + memory.ended(3, b"e" * 32, "ended", ()).head


def _restored(data: bytes) -> None:
    """A party from its records, some of them changed: how, which, where, what. First: whose."""
    who = SERVER if data[:1] == b"\1" else VICTIM
    records = list(remembered()[who])
    for at in range(1, min(len(data), CHANGE_BYTES * MOST_CHANGES) - 3, CHANGE_BYTES):
        how, which, where, what = data[at : at + CHANGE_BYTES]
        place = which % len(records)
        one = records[place]
        match how % 8:
            case 0 if len(records) > 1:
                del records[place]
            case 1:
                records.insert(where % len(records), one)
            case 2:
                records[place] = Record(one.head, one.tail, not one.final)
            case 3:
                tail = bytes(one.tail)[: where * 4 + what % 4] + bytes(what // 64)
                records[place] = Record(one.head, memoryview(tail), one.final)
            case _:
                head = bytearray(one.head)
                head[where * len(head) // 256] ^= what
                records[place] = Record(bytes(head), one.tail, one.final)
    party = of().restore(who, records)
    for effect in party.resume():
        repr(effect)


def _restored_seeds() -> Iterator[bytes]:
    for whose in (b"\0", b"\1"):
        yield whose
        for how in range(5):
            yield whose + bytes((how, 1, 40, 3))


TARGETS = (
    Target(
        "memory",
        _memory,
        (
            "secagg.protocol.memory:RecordHead.parse",
            "secagg.protocol.memory:Memory.event",
            "secagg.protocol.memory:Memory.closed",
            "secagg.protocol.memory:Memory.effects",
            "secagg.ledger.ledger:_sends",
        ),
        _memory_seeds,
        canonical=False,
    ),
    Target(
        "restored",
        _restored,
        ("secagg.protocol.memory:RecordHead.parse", "secagg.protocol.memory:Memory.event"),
        _restored_seeds,
    ),
)

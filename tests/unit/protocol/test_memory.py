"""Records that somebody changed on the disk: refused with a typed error, whatever they hold."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from attacks.scenes import scenario_of

from secagg.errors import DecodeError
from secagg.protocol import BeaconHead, BeaconValue, Done, Input, Record
from secagg.protocol.beacon import VALUE_BYTES
from secagg.protocol.effects import LARGEST_ROUND
from secagg.protocol.memory import (
    BEACON_HEAD,
    BEACON_VALUE,
    CLOSED,
    DEADLINE,
    INPUT,
    START,
    ClosedState,
    Memory,
    RecordHead,
)
from secagg.protocols._masking.messages import TABLE
from secagg.types import client

SCENARIO = scenario_of("secagg 5 curious")
MEMORY = Memory(SCENARIO.session, client(0), TABLE)
NO_TEXT = b"\xff\xfe"
"""Not UTF-8."""


def head(type_: int, body: bytes = b"") -> RecordHead:
    return RecordHead(MEMORY._owner, 1, type_, None, 0, body)


def test_a_deadline_in_no_text_is_refused() -> None:
    with pytest.raises(DecodeError, match="not the record of an event"):
        MEMORY.event(head(DEADLINE, NO_TEXT), memoryview(b""))


def test_an_input_of_half_a_lane_is_refused() -> None:
    lanes = np.zeros(3, dtype=SCENARIO.plan.ring.dtype).tobytes()
    event, _ = MEMORY.event(head(INPUT), memoryview(lanes))
    assert isinstance(event, Input)
    with pytest.raises(DecodeError, match="not the record of an event"):
        MEMORY.event(head(INPUT), memoryview(lanes[:-1]))


@pytest.mark.parametrize(
    "event",
    [
        BeaconHead(0),
        BeaconHead(LARGEST_ROUND),
        BeaconValue(7, b""),
        BeaconValue(LARGEST_ROUND, bytes(range(VALUE_BYTES))),
    ],
)
def test_what_was_read_of_the_beacon_comes_back(event: BeaconHead | BeaconValue) -> None:
    record = MEMORY.happened(3, event, client(0))
    assert MEMORY.event(MEMORY.read(record), record.tail) == (event, client(0))


@pytest.mark.parametrize(
    ("type_", "body"),
    [
        (BEACON_HEAD, bytes(7)),
        (BEACON_HEAD, bytes(9)),
        (BEACON_HEAD, b"\xff" * 8),
        (BEACON_VALUE, bytes(7)),
        (BEACON_VALUE, b"\xff" * 8),
        (BEACON_VALUE, bytes(8 + VALUE_BYTES + 1)),
    ],
)
def test_what_no_beacon_says_is_refused(type_: int, body: bytes) -> None:
    with pytest.raises(DecodeError, match="the record of an event"):
        MEMORY.event(head(type_, body), memoryview(b""))


def test_no_two_readings_are_the_same_event() -> None:
    events: list[BeaconHead | BeaconValue] = [
        BeaconHead(1),
        BeaconHead(256),
        BeaconValue(1, b""),
        BeaconValue(1, b"1"),
        BeaconValue(2, b"1"),
    ]
    assert len({MEMORY.digest_of(event, client(0)) for event in events}) == len(events)


@pytest.mark.parametrize("type_", [START, CLOSED, 99])
def test_what_is_no_event_is_refused(type_: int) -> None:
    with pytest.raises(DecodeError, match=f"got type {type_}"):
        MEMORY.event(head(type_), memoryview(b""))


def test_a_closed_state_in_no_text_is_refused() -> None:
    state = ClosedState(b"event", "done", (), None, (), "why")
    body = msgspec.msgpack.encode(state)
    assert MEMORY.closed(head(CLOSED, body)) == state
    for text in (b"done", b"why"):
        with pytest.raises(DecodeError, match="not the record of a party that has ended"):
            MEMORY.closed(head(CLOSED, body.replace(text, (NO_TEXT * 2)[: len(text)])))


def test_a_total_of_half_a_lane_is_refused() -> None:
    lanes = np.zeros(2, dtype=SCENARIO.plan.ring.dtype).tobytes()
    state = ClosedState(b"event", "done", (), lanes, (client(0),), None)
    (done,) = MEMORY.effects(state)
    assert isinstance(done, Done)
    with pytest.raises(DecodeError, match="not the total"):
        list(MEMORY.effects(msgspec.structs.replace(state, total=lanes[:-1])))


def test_every_byte_of_a_head_is_checked_or_does_not_matter() -> None:
    record = Record(msgspec.msgpack.encode(head(DEADLINE, b"mask")), memoryview(b""), False)
    for position in range(len(record.head)):
        for value in (0x00, 0xC1, 0xD9, 0xFF):
            changed = bytearray(record.head)
            changed[position] = value
            try:
                MEMORY.event(MEMORY.read(replace(record, head=bytes(changed))), record.tail)
            except DecodeError:
                continue

"""Frames, and the messages of every protocol at every level."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import cache

import msgspec
from conformance.scenario import Offered, Scenario, chosen_names
from fuzz.target import Target, join_body, split_body

from secagg.protocols import plain
from secagg.protocols._enclave import messages as enclave
from secagg.protocols._homomorphic import messages as homomorphic
from secagg.protocols._masking import messages as masking
from secagg.protocols._masking.authenticated import messages as authenticated
from secagg.runner import Faults
from secagg.types import SERVER, PartyId, Role
from secagg.wire import (
    ENVELOPE_BYTES,
    MAGIC,
    VERSION,
    Envelope,
    Frame,
    Message,
    MessageTable,
)

TABLES = {
    "plain": plain.TABLE,
    "masking": masking.TABLE,
    "authenticated": authenticated.TABLE,
    "authenticated-ring": authenticated.RING_TABLE,
    "homomorphic": homomorphic.TABLE,
    "enclave": enclave.TABLE,
}
LARGEST_SEED = 1 << 11

_ENVELOPE = struct.Struct("<4sBBBIBI32sIQ")


@cache
def frames(name: str) -> tuple[bytes, ...]:
    """Every frame of a small session of `protocol-level`."""
    found: list[bytes] = []

    def watch(frame: Frame, sender: PartyId, recipient: PartyId) -> Frame:
        found.append(frame.join())
        return frame

    Scenario(Offered.named(name), 3, {"length": 5}).run(Faults(tamper=watch))
    return tuple(found)


def frames_of(table: MessageTable) -> list[bytes]:
    """One frame of each kind: the shortest that was sent, if it is small, else one made up.

    Made up as well are those with a quote: it measures the code, and would change with it.
    """
    sent: dict[int, bytes] = {}
    for name in chosen_names(None):
        if Offered.named(name).offering.table is table:
            for frame in sorted(frames(name), key=len):
                sent.setdefault(frame[5], frame)
    return [
        made_up(table, message)
        if table is enclave.TABLE or len(sent[message.KIND]) > LARGEST_SEED
        else sent[message.KIND]
        for message in table.messages
    ]


def made_up(table: MessageTable, message: type[Message]) -> bytes:
    """A frame whose fields are as short as their type allows."""
    values: list[bytes | memoryview] = []
    for field in msgspec.structs.fields(message):
        found = msgspec.inspect.type_info(field.type)
        least = found.min_length if isinstance(found, msgspec.inspect.BytesType) else None
        values.append(memoryview(b"tail") if field.name == "tail" else b"c" * (least or 5))
    sender = PartyId(message.SENDER, 0)
    return table.encode(Envelope(bytes(32), sender, SERVER, message(*values))).join()


def split(frame: bytes) -> bytes:
    """A frame as an input of `messages-...`: kind, body and tail."""
    _, _, kind, *_, body, _ = _ENVELOPE.unpack_from(frame)
    cut = ENVELOPE_BYTES + body
    return join_body(kind, frame[ENVELOPE_BYTES:cut], frame[cut:])


def joined(data: bytes) -> bytes:
    """The frame of such an input: lengths that fit, so that mutation reaches the body."""
    kind, body, tail = split_body(data)
    ends = (Role.SERVER, 0, Role.CLIENT, 1)
    sizes = (len(body), len(tail))
    return _ENVELOPE.pack(MAGIC, VERSION, kind, *ends, b"s" * 32, *sizes) + body + tail


def again(table: MessageTable, frame: bytes) -> bytes:
    envelope = table.decode(Frame.split(frame))
    repr(envelope.message)
    return table.encode(envelope).join()


def _messages(table: MessageTable) -> Callable[[bytes], bytes]:
    def decode(data: bytes) -> bytes:
        frame = joined(data)
        return data if again(table, frame) == frame else frame

    return decode


def _frame(data: bytes) -> bytes:
    # The kinds of two tables overlap: the first byte says whose message it is.
    tables = list(TABLES.values())
    number = data[0] if data else 0
    table = tables[number % len(tables)]
    return data[:1] + again(table, data[1:])


def _frame_seeds() -> Iterator[bytes]:
    for number, table in enumerate(TABLES.values()):
        for frame in frames_of(table)[:2]:
            yield bytes((number,)) + frame


def _seeds(table: MessageTable) -> Callable[[], Iterator[bytes]]:
    return lambda: map(split, frames_of(table))


TARGETS = (
    Target(
        "frame",
        _frame,
        ("secagg.wire:_lengths", "secagg.wire:MessageTable.decode", "secagg.wire:_Layout.parse"),
        _frame_seeds,
    ),
    *(
        Target(
            f"messages-{name}",
            _messages(table),
            ("secagg.wire:MessageTable.decode", "secagg.wire:MessageTable.parse"),
            _seeds(table),
            form="body",
        )
        for name, table in TABLES.items()
    ),
)

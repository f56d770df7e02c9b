from __future__ import annotations

from typing import Annotated

import msgspec
import pytest

from secagg import wire
from secagg.errors import DecodeError
from secagg.types import SERVER, Role, client
from secagg.wire import Envelope, Frame, Message, MessageTable, Tail


class Note(Message, frozen=True):
    KIND = 7
    SENDER = Role.CLIENT
    word: Annotated[bytes, msgspec.Meta(min_length=2, max_length=4)]
    number: Annotated[int, msgspec.Meta(ge=0)]


class Vector(Message, frozen=True):
    KIND = 8
    SENDER = Role.CLIENT
    label: bytes
    tail: Tail


TABLE = MessageTable((Note, Vector))
SESSION = bytes(range(32))
# Pinned: a change of any of these bytes is a change of the wire format.
NOTE_FRAME = bytes.fromhex(
    "53414747"  # magic
    "01"  # version
    "07"  # kind
    "0103000000"  # client 3
    "0200000000"  # server 0
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
    "06000000"  # body
    "0000000000000000"  # tail
    "92c402616205"
)
VECTOR_FRAME = bytes.fromhex(
    "53414747" + "01" + "08" + "0103000000" + "0200000000"
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
    "0400000003000000000000009" + "1c40178" + "010203"
)


def envelope(message: Message) -> Envelope:
    return Envelope(SESSION, client(3), SERVER, message)


def test_golden_encodings() -> None:
    note, vector = Note(b"ab", 5), Vector(b"x", memoryview(b"\1\2\3"))
    assert TABLE.encode(envelope(note)).join() == NOTE_FRAME
    assert TABLE.encode(envelope(vector)).join() == VECTOR_FRAME
    assert TABLE.decode(Frame.split(NOTE_FRAME)) == envelope(note)
    assert TABLE.decode(Frame.split(VECTOR_FRAME)) == envelope(vector)
    assert wire.ENVELOPE_BYTES == 60


def test_sizes_are_predicted() -> None:
    assert TABLE.encode(envelope(Vector(bytes(300), memoryview(bytes(9))))).size == wire.frame_size(
        (300,), 9
    )
    for count in (0, 1, 255, 256, 65535, 65536):
        assert wire.binary_size(count) == len(msgspec.msgpack.encode(bytes(count)))
    for count in (0, 1, 15, 16, 65535, 65536):
        assert wire.array_size(count) == len(msgspec.msgpack.encode([b""] * count)) - 2 * count


def test_the_tail_is_not_copied() -> None:
    owner = bytearray(b"\1\2\3")
    frame = TABLE.encode(envelope(Vector(b"", memoryview(owner))))
    owner[0] = 9
    assert bytes(frame.tail) == b"\x09\2\3"
    message = TABLE.decode(frame).message
    assert isinstance(message, Vector)
    owner[1] = 8
    assert bytes(message.tail) == b"\x09\x08\3"


@pytest.mark.parametrize(
    ("position", "value", "match"),
    [
        (0, 0x54, "starts with"),
        (4, 2, "wire version 1, got 2"),
        (5, 9, r"kinds here are \[7, 8\], got 9"),
        (6, 77, "role codes"),
        (48, 7, "announces"),
        (52, 1, "announces"),
        (51, 0x7F, "at most"),
        (60, 0x93, "Note"),
        (62, 1, "Note"),
        (65, 0xFF, "Note"),
    ],
)
def test_each_field_is_checked(position: int, value: int, match: str) -> None:
    changed = bytearray(NOTE_FRAME)
    changed[position] = value
    with pytest.raises(DecodeError, match=match):
        TABLE.decode(Frame.split(bytes(changed)))


def body(data: bytes) -> Frame:
    head = bytearray(NOTE_FRAME[:60])
    head[48:52] = len(data).to_bytes(4, "little")
    return Frame(bytes(head) + data, memoryview(b""))


def test_only_the_canonical_encoding_is_taken() -> None:
    assert TABLE.decode(body(NOTE_FRAME[60:]))
    for name, data in {
        "number in two bytes": b"\x92\xc4\x02ab\xcc\x05",
        "long byte string header": b"\x92\xc5\x00\x02ab\x05",
        "long array header": b"\xdc\x00\x02\xc4\x02ab\x05",
        "leftover": b"\x92\xc4\x02ab\x05\x00",
        "one field more": b"\x93\xc4\x02ab\x05\x05",
        "one field fewer": b"\x91\xc4\x02ab",
        "too short a word": b"\x92\xc4\x01a\x05",
        "too long a word": b"\x92\xc4\x05abcde\x05",
        "negative": b"\x92\xc4\x02ab\xff",
        "text for bytes": b"\x92\xa2ab\x05",
        "map": b"\x82\xa4word\xc4\x02ab\xa6number\x05",
        "empty": b"",
    }.items():
        with pytest.raises(DecodeError, match=r"Note: "):
            print(name, TABLE.decode(body(data)))


def test_a_tail_where_none_belongs_is_refused() -> None:
    head = bytearray(NOTE_FRAME)
    head[52] = 1
    with pytest.raises(DecodeError, match="Note has no tail, 1 bytes came"):
        TABLE.decode(Frame(bytes(head), memoryview(b"x")))


def test_tables_are_checked_when_made() -> None:
    class Twin(Message, frozen=True):
        KIND = 7
        SENDER = Role.CLIENT

    class Lenient(Message, frozen=True):
        KIND = 1
        SENDER = Role.CLIENT
        number: int = 0

    with pytest.raises(TypeError, match="kind 7 is used twice"):
        MessageTable((Note, Twin))
    with pytest.raises(TypeError, match=r"no defaults: \['number'\]"):
        MessageTable((Lenient,))

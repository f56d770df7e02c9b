"""Reading a record as a stream: line by line, within limits, naming the place of what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple

import msgspec

from secagg.errors import DecodeError, RecordRefused
from secagg.record.lines import (
    FORMAT,
    MAX_LINE_BYTES,
    AnyLine,
    Line,
    SessionLine,
    encode,
    printable,
)

_DECODER: Final = msgspec.json.Decoder(AnyLine)


class _First(msgspec.Struct):
    """What the first line of a record of any version has."""

    format: str


_FIRST: Final = msgspec.json.Decoder(_First)


class Place(NamedTuple):
    """Where a line is: its number from 1, and the byte at which it begins."""

    line: int
    byte: int

    def __str__(self) -> str:
        return f"line {self.line}, byte {self.byte}"


class PlacedLine(NamedTuple):
    """A line of a record, as it was and decoded."""

    place: Place
    data: bytes
    line: Line


def decode_line(data: bytes) -> Line:
    """The inverse of `encode`.

    Raises:
        DecodeError: not the canonical encoding of a line.
    """
    try:
        line: Line = _DECODER.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise DecodeError(printable(str(error))) from None
    if encode(line) != data:
        raise DecodeError("not the canonical encoding of its fields")
    return line


def read_record(file: BinaryIO) -> Iterator[PlacedLine]:
    """The lines of a record, one by one; no more than one is in memory.

    The first is a `SessionLine`. What follows in which order is for the reader to judge.

    Raises:
        RecordRefused: a line that is longer than the limit, has no end, or is not canonical; or a
            first line of something else, or of another version. It names the place.
    """
    number = offset = 0
    while data := _line(file, Place(number + 1, offset)):
        place = Place(number + 1, offset)
        number, offset = number + 1, offset + len(data)
        data = data[:-1]
        if number == 1:
            _check_format(data, place)
        try:
            line = decode_line(data)
        except DecodeError as error:
            raise RecordRefused(str(error), place) from None
        if (number == 1) != isinstance(line, SessionLine):
            raise RecordRefused("a record has one line of a session, the first", place)
        yield PlacedLine(place, data, line)
    if not number:
        raise RecordRefused("expected a record, got nothing", Place(1, 0))


def _line(file: BinaryIO, place: Place) -> bytes:
    try:
        data = file.readline(MAX_LINE_BYTES + 1)
    except OSError as error:
        raise RecordRefused(f"it cannot be read: {error.strerror}", place) from None
    if len(data) > MAX_LINE_BYTES:
        raise RecordRefused(f"a line has at most {MAX_LINE_BYTES} bytes, this one has more", place)
    if data and not data.endswith(b"\n"):
        raise RecordRefused(f"truncated: the line has no end after {len(data)} bytes", place)
    return data


def _check_format(data: bytes, place: Place) -> None:
    try:
        first = _FIRST.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        said = printable(str(error))
        raise RecordRefused(f"not the first line of a record: {said}", place) from None
    if first.format != FORMAT:
        raise RecordRefused(f"expected {FORMAT!r}, got {first.format[:40]!r}", place)

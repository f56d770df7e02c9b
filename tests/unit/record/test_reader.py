"""Records from strangers: read as streams, within limits."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.record.sessions import Recorded, forged, judged

from secagg.errors import RecordRefused
from secagg.record import MAX_LINE_BYTES, read_record
from secagg.record.lines import MAX_MEMBERS


@cache
def recorded() -> Recorded:
    return Recorded()


class Endless(io.RawIOBase):
    """Gigabytes that nobody stores; fails when more of them is read than anybody needs."""

    def __init__(self, parts: Iterator[bytes], limit: int) -> None:
        self.parts, self.left, self.read_bytes, self.limit = parts, b"", 0, limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        while not self.left:
            self.left = next(self.parts)
        count = min(len(buffer), len(self.left))
        buffer[:count], self.left = self.left[:count], self.left[count:]
        self.read_bytes += count
        assert self.read_bytes < self.limit, "read on and on"
        return count


def repeated(first: bytes, then: bytes) -> Iterator[bytes]:
    yield first
    while True:
        yield then


def test_a_line_without_end() -> None:
    endless = Endless(repeated(recorded().lines[0], b"x" * 65_536), 4 * MAX_LINE_BYTES)
    lines = read_record(io.BufferedReader(endless))  # type: ignore[type-var]
    next(lines)
    size = len(recorded().lines[0])
    with pytest.raises(RecordRefused, match=f"^line 2, byte {size}: a line has at most 1048576"):
        next(lines)


def test_gigabytes_of_members() -> None:
    """They are read, and not kept: the session says how many there are."""
    found = judged([recorded().lines[0], *[recorded().lines[1]] * 5000, *recorded().lines[1:]])
    assert not found.holds
    wrong = [verdict.details for verdict in found.verdicts if verdict.check == "session"]
    assert any("and 4980 more of these" in text for text in wrong)


def test_of_another_version_or_kind() -> None:
    first = json.loads(recorded().lines[0])
    for changes, words in (
        ({"format": "secagg record 2"}, "expected 'secagg record 1', got 'secagg record 2'"),
        ({"protocol": "bfv"}, "expected a session of secagg or secagg_plus, got 'bfv'"),
        ({"version": 2}, "expected version 1 of secagg, got 2: verify it with the release"),
        ({"members": MAX_MEMBERS + 1}, "Expected `int` <="),
    ):
        with pytest.raises(RecordRefused, match=words) as refused:
            judged(forged(recorded().lines, lambda fields, new=changes: fields[0].update(new)))  # type: ignore[misc]
        assert str(refused.value).startswith("line 1, byte 0: ")
    assert first["format"] == "secagg record 1"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"{}\n",
        b"[" * 200_000 + b"\n",
        b'{"format":' * 50_000 + b"\n",
        b"\xff\xfe\n",
        b'{"format":"secagg record 1"}\n',
        b'{"line":"head","format":"secagg record 1"}\n',
    ],
)
def test_what_is_no_record(data: bytes) -> None:
    with pytest.raises(RecordRefused, match=r"^line 1, byte 0: "):
        judged(data)


@given(st.binary(max_size=200))
def test_anything_at_all(data: bytes) -> None:
    with pytest.raises(RecordRefused):
        judged(data)
    with pytest.raises(RecordRefused):
        judged(recorded().lines[0] + data)


def test_one_encoding_only() -> None:
    for index in (0, 1, 6, len(recorded().lines) - 1):
        lines = [*recorded().lines]
        for change in (
            lines[index].replace(b":", b": ", 1),
            lines[index].replace(b"\n", b" \n"),
            lines[index].replace(b'"previous":"', b'"previous":"\\u0030', 1),
            lines[index].replace(b"}", b',"more":1}'),
        ):
            record = b"".join([*lines[:index], change, *lines[index + 1 :]])
            with pytest.raises(RecordRefused, match=f"^line {index + 1}, byte "):
                judged(record)


def test_strangers_words_do_not_reach_a_terminal() -> None:
    lines, escape = recorded().lines, "\x1b]0;owned\x07\n"
    field = json.dumps({escape: 1}).encode()[1:-1]
    evil = lines[1].replace(b"}", b"," + field + b"}")
    with pytest.raises(RecordRefused) as refused:
        judged([lines[0], evil])
    assert str(refused.value).isprintable()
    long = lines[1].replace(b"}", b',"' + b"x" * 100_000 + b'":1}')
    with pytest.raises(RecordRefused) as refused:
        judged([lines[0], long])
    assert len(str(refused.value)) < 600
    found = judged(
        forged(lines, lambda f: f[-2].update(outcome="failed", result="", reason=escape))
    )
    assert all(verdict.details.isprintable() for verdict in found.verdicts)


def test_a_second_session_line() -> None:
    lines = recorded().lines
    with pytest.raises(RecordRefused, match="one line of a session, the first"):
        judged([lines[0], *lines])


def test_fields_that_make_no_session() -> None:
    for changes in ({"level": "x"}, {"level": "curious"}, {"min_clients": 1}, {"sigma": 0}):
        found = judged(
            forged(recorded().lines, lambda fields, new=changes: fields[0].update(new))  # type: ignore[misc]
        )
        assert not found.holds
        assert found.session is None
        (wrong,) = [one for one in found.verdicts if one.check == "session"]
        assert wrong.place == "line 1, byte 0"

"""What a target of the fuzzer is, and what must hold for any bytes that it is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from secagg.errors import SecaggError

CORPUS = Path(__file__).parent / "corpus"
BODY_AT = 3

Decode: TypeAlias = Callable[[bytes], bytes | None]


class NotCanonical(AssertionError):
    """Bytes were taken that are not the encoding of what they were taken for."""


@dataclass(frozen=True)
class Target:
    """One decoder, or a few that share a format.

    Attributes:
        name: of its corpus too.
        decode: what the value of some bytes encodes to, or None where a value has no encoding.
        covers: functions of the library that the corpus must reach, as `module:Class.method`.
        seeds: inputs from which a corpus is made: real messages, files, records.
        canonical: whether one value has one encoding. If not, what a value encodes to must
            decode to what encodes to the same.
        refusals: what may be raised. EOFError belongs to channels, where it means: hung up.
        drawn: whether seeds hold salts that another library draws: then they are made once.
        form: how an input is mutated: as bytes, as one MessagePack value, or as a `body` with one
            byte before it and bytes behind it.
    """

    name: str
    decode: Decode
    covers: tuple[str, ...]
    seeds: Callable[[], Iterable[bytes]]
    canonical: bool = True
    refusals: tuple[type[Exception], ...] = (SecaggError,)
    drawn: bool = False
    form: Literal["bytes", "packed", "body"] = "bytes"

    @property
    def folder(self) -> Path:
        return CORPUS / self.name

    def check(self, data: bytes) -> bool:
        """Whether these bytes are taken.

        Raises:
            NotCanonical: they are taken, and their value encodes to others.
            Exception: anything but a refusal: a finding.
        """
        try:
            encoded = self.decode(data)
        except self.refusals:
            return False
        if encoded is None or encoded == data:
            return True
        if self.canonical or self.decode(encoded) != encoded:
            raise NotCanonical(f"{self.name}: {data.hex()} came back as {encoded.hex()}")
        return True


def split_body(data: bytes) -> tuple[int, bytes, bytes]:
    """Of the form `body`: its first byte, the body, and what comes behind it.

    Two bytes after the first say how long the last is: an input whose lengths always fit.
    """
    if len(data) < BODY_AT:
        return 0, b"", b""
    rest = data[BODY_AT:]
    size = min(int.from_bytes(data[1:BODY_AT], "little"), len(rest))
    return data[0], rest[: len(rest) - size], rest[len(rest) - size :]


def join_body(first: int, body: bytes, tail: bytes) -> bytes:
    """The inverse of `split_body`."""
    return bytes((first,)) + len(tail).to_bytes(2, "little") + body + tail

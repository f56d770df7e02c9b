"""Messages to bytes and back.

A frame is a fixed 60-byte envelope, a MessagePack body, and an optional raw tail:

    magic "SAGG" | version u8 | kind u8 | sender role u8, number u32 | recipient role u8, number u32
    | session 32 bytes | body length u32 | tail length u64 | body | tail          (little-endian)

The body is the message's fields as one MessagePack array. A ring vector is never inside: it is
the tail, packed by the kernels, and travels as a memoryview, uncopied. Decoding is strict: caps
before parsing, no leftovers, and what is decoded must encode to the same bytes again. Lengths
that follow from the plan are checked by the party that receives the message.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, TypeAlias

import msgspec

from secagg.errors import DecodeError
from secagg.types import PartyId, Role

MAGIC: Final = b"SAGG"
VERSION: Final = 1
MAX_BODY_BYTES: Final = 1 << 26
SESSION_BYTES: Final = 32

_ENVELOPE: Final = struct.Struct("<4sBBBIBI32sIQ")
ENVELOPE_BYTES: Final = _ENVELOPE.size

Tail: TypeAlias = memoryview
"""The type of a message's last field when it is a raw tail; the field must be called `tail`."""


class Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The base of all messages. Subclasses set KIND and SENDER and give no field a default.

    Attributes:
        KIND: the message's byte on the wire, unique within its protocol.
        SENDER: the one role that may send it.
    """

    KIND: ClassVar[int]
    SENDER: ClassVar[Role]

    def __repr__(self) -> str:
        # Names and sizes only: a message may hold what must not get into a log.
        sizes = (f"{name}: {_size(getattr(self, name))}" for name in self.__struct_fields__)
        return f"{type(self).__name__}({', '.join(sizes)})"


def _size(value: object) -> str:
    return f"{memoryview(value).nbytes} bytes" if isinstance(value, bytes | memoryview) else "..."


@dataclass(frozen=True, slots=True)
class Envelope:
    """A decoded frame: who says what to whom in which session."""

    session: bytes
    sender: PartyId
    recipient: PartyId
    message: Message


@dataclass(frozen=True, slots=True)
class Frame:
    """An encoded envelope in two parts, so that the tail needs no copy."""

    head: bytes = field(repr=False)
    tail: memoryview = field(repr=False)

    @property
    def size(self) -> int:
        """Bytes on the wire."""
        return len(self.head) + self.tail.nbytes

    def join(self) -> bytes:
        """One contiguous copy, for transports that need one."""
        return b"".join((self.head, self.tail))

    @classmethod
    def split(cls, data: bytes | bytearray | memoryview) -> Frame:
        """The inverse of `join`; the tail is a view into `data`.

        Raises:
            DecodeError: shorter than its envelope says, longer, or not an envelope.
        """
        view = memoryview(data).cast("B")
        body_length, tail_length = _lengths(view)
        expected = ENVELOPE_BYTES + body_length + tail_length
        if view.nbytes != expected:
            raise DecodeError(f"the envelope announces {expected} bytes, {view.nbytes} came")
        cut = ENVELOPE_BYTES + body_length
        return cls(bytes(view[:cut]), view[cut:])


def _lengths(view: memoryview) -> tuple[int, int]:
    if view.nbytes < ENVELOPE_BYTES:
        raise DecodeError(f"an envelope has {ENVELOPE_BYTES} bytes, {view.nbytes} came")
    magic, version, *_, body_length, tail_length = _ENVELOPE.unpack_from(view)
    if magic != MAGIC:
        raise DecodeError(f"a frame starts with {MAGIC!r}, got {magic!r}")
    if version != VERSION:
        raise DecodeError(f"expected wire version {VERSION}, got {version}")
    if body_length > MAX_BODY_BYTES:
        raise DecodeError(f"a body has at most {MAX_BODY_BYTES} bytes, {body_length} announced")
    return body_length, tail_length


def _party(role: int, number: int) -> PartyId:
    try:
        return PartyId(Role(role), number)
    except ValueError:
        raise DecodeError(f"role codes are {[r.value for r in Role]}, got {role}") from None


class _Layout:
    """How one message class is laid out: its decoder, and whether it ends in a tail."""

    def __init__(self, message: type[Message]) -> None:
        fields = msgspec.structs.fields(message)
        defaulted = [f.name for f in fields if not f.required]
        if defaulted:
            raise TypeError(f"{message.__name__}: wire fields take no defaults: {defaulted}")
        self.message = message
        self.tailed = bool(fields) and fields[-1].name == "tail"
        inline = fields[:-1] if self.tailed else fields
        self.names = tuple(f.name for f in inline)
        header: type[Any] = message
        if self.tailed:
            header = msgspec.defstruct(
                f"{message.__name__}Header",
                [(f.name, f.type) for f in inline],
                frozen=True,
                array_like=True,
                forbid_unknown_fields=True,
            )
        self.decoder = msgspec.msgpack.Decoder(header)

    def body(self, message: Message) -> bytes:
        return _ENCODER.encode([getattr(message, name) for name in self.names])

    def parse(self, body: bytes | memoryview, tail: memoryview) -> Message:
        name = self.message.__name__
        try:
            header = self.decoder.decode(body)
        except (msgspec.MsgspecError, ValueError) as error:  # ValueError: text that is no UTF-8
            raise DecodeError(f"{name}: {error}") from None
        values = [getattr(header, field) for field in self.names]
        if _ENCODER.encode(values) != body:
            raise DecodeError(f"{name}: not the canonical encoding of its fields")
        if self.tailed:
            return self.message(*values, tail)
        if tail.nbytes:
            raise DecodeError(f"{name} has no tail, {tail.nbytes} bytes came")
        return self.message(*values)


_ENCODER: Final = msgspec.msgpack.Encoder()


class MessageTable:
    """The messages of one protocol, by kind.

    Attributes:
        messages: as given; a client's in the order in which it sends them.

    Raises:
        TypeError: two messages share a kind, or a field has a default.
    """

    def __init__(self, messages: Iterable[type[Message]]) -> None:
        self._layouts: dict[int, _Layout] = {}
        for message in messages:
            if message.KIND in self._layouts:
                raise TypeError(f"kind {message.KIND} is used twice")
            self._layouts[message.KIND] = _Layout(message)
        self.messages = tuple(layout.message for layout in self._layouts.values())

    def body(self, message: Message) -> bytes:
        """The MessagePack body of a message, without envelope and tail."""
        return self._layout(message.KIND).body(message)

    def parse(self, kind: int, body: bytes | memoryview, tail: memoryview) -> Message:
        """A message from its kind, body and tail.

        Raises:
            DecodeError: unknown kind, or not a canonical encoding.
        """
        return self._layout(kind).parse(body, tail)

    def encode(self, envelope: Envelope) -> Frame:
        """The frame of an envelope; the tail is not copied."""
        message = envelope.message
        layout = self._layout(message.KIND)
        tail: memoryview = getattr(message, "tail") if layout.tailed else memoryview(b"")  # noqa: B009
        body = layout.body(message)
        head = _ENVELOPE.pack(
            MAGIC,
            VERSION,
            message.KIND,
            *envelope.sender,
            *envelope.recipient,
            envelope.session,
            len(body),
            tail.nbytes,
        )
        return Frame(head + body, tail)

    def decode(self, frame: Frame) -> Envelope:
        """The envelope of a frame.

        Raises:
            DecodeError: truncated, oversized, of an unknown kind, or not canonical.
        """
        view = memoryview(frame.head)
        body_length, tail_length = _lengths(view)
        _, _, kind, role, number, to_role, to_number, session, _, _ = _ENVELOPE.unpack_from(view)
        if view.nbytes != ENVELOPE_BYTES + body_length or frame.tail.nbytes != tail_length:
            raise DecodeError(
                f"the envelope announces {body_length} + {tail_length} bytes,"
                f" {view.nbytes - ENVELOPE_BYTES} + {frame.tail.nbytes} came"
            )
        message = self.parse(kind, view[ENVELOPE_BYTES:], frame.tail)
        return Envelope(session, _party(role, number), _party(to_role, to_number), message)

    def _layout(self, kind: int) -> _Layout:
        try:
            return self._layouts[kind]
        except KeyError:
            raise DecodeError(
                f"message kinds here are {sorted(self._layouts)}, got {kind}"
            ) from None


def binary_size(count: int) -> int:
    """Bytes of a MessagePack byte string of `count` bytes: 2, 3 or 5 more than its content."""
    return count + (2 if count < 1 << 8 else 3 if count < 1 << 16 else 5)


def array_size(count: int) -> int:
    """Bytes of the header of a MessagePack array of `count` elements."""
    return 1 if count < 16 else 3 if count < 1 << 16 else 5


def frame_size(binary_fields: Iterable[int] = (), tail: int = 0) -> int:
    """Bytes of a frame whose message has only byte-string fields of these lengths, and a tail."""
    lengths = tuple(binary_fields)
    return ENVELOPE_BYTES + array_size(len(lengths)) + sum(map(binary_size, lengths)) + tail

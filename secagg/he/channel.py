"""What goes between a process that wants work done and its workers: requests, and answers back.

A frame is two lengths, a head in MessagePack and a raw tail: a key, slots, ciphertexts. Nothing is
trusted by either side: what does not decode ends the worker, or the use of it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Annotated, Final, Literal, TypeAlias, TypeVar

import msgspec

from secagg.errors import DecodeError, ParameterError
from secagg.he.lattice import Lattice

LENGTHS: Final = struct.Struct(">II")
MAX_HEAD_BYTES: Final = 1 << 12
MAX_REASON: Final = 1000
MAX_TAIL_BYTES: Final = 1 << 25
"""Eight ciphertexts, or a public key, of the largest parameters have less than 20 MB."""

Buffer: TypeAlias = bytes | bytearray | memoryview
ReadInto: TypeAlias = Callable[[memoryview], int]

_T = TypeVar("_T")
_WORD_BYTES: Final = 8


class Begin(msgspec.Struct, frozen=True, tag=True, array_like=True, forbid_unknown_fields=True):
    """What to do with the batches to come; the key is in the tail.

    Attributes:
        task: encrypt under a public key's residues, or decrypt with a secret key's seed.
        lattice: the parameters.
    """

    task: Literal["encrypt", "decrypt"]
    lattice: Lattice

    @property
    def row_bytes(self) -> int:
        """Of one row of a batch: slots to encrypt, or a ciphertext's residues as whole words."""
        return self._slots_bytes if self.task == "encrypt" else self.lattice.residues * _WORD_BYTES

    @property
    def answer_bytes(self) -> int:
        """Of the answer to one row: a packed ciphertext, or slots."""
        return self.lattice.ciphertext_bytes if self.task == "encrypt" else self._slots_bytes

    @property
    def _slots_bytes(self) -> int:
        # BFV's slots are words, CKKS's are complex numbers in double precision.
        return self.lattice.slots * _WORD_BYTES * (1 if self.lattice.scheme == "bfv" else 2)


class Batch(msgspec.Struct, frozen=True, tag=True, array_like=True, forbid_unknown_fields=True):
    """Whole rows in the tail."""


class End(msgspec.Struct, frozen=True, tag=True, array_like=True, forbid_unknown_fields=True):
    """Drop the key."""


Request: TypeAlias = Begin | Batch | End

Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e9)]


class Ready(msgspec.Struct, frozen=True, tag=True, array_like=True, forbid_unknown_fields=True):
    """The first word of a worker: it has loaded SEAL."""


class Answer(msgspec.Struct, frozen=True, tag=True, array_like=True, forbid_unknown_fields=True):
    """A request is done; the tail has the answers to a batch's rows.

    Attributes:
        cpu_seconds: that the worker spent since it spoke last.
    """

    cpu_seconds: Seconds


class Refused(msgspec.Struct, frozen=True, tag=True, array_like=True, forbid_unknown_fields=True):
    """A request that SEAL, or the parameters, do not allow.

    Attributes:
        cpu_seconds: as in `Answer`.
        error: which exception it is.
        reason: its text.
    """

    cpu_seconds: Seconds
    error: Literal["DecodeError", "ParameterError"]
    reason: Annotated[str, msgspec.Meta(max_length=MAX_REASON)]

    @classmethod
    def of(cls, error: DecodeError | ParameterError, cpu_seconds: float) -> Refused:
        """What says that this was raised."""
        kind: Literal["DecodeError", "ParameterError"] = (
            "DecodeError" if isinstance(error, DecodeError) else "ParameterError"
        )
        return cls(cpu_seconds, kind, str(error)[:MAX_REASON])

    def exception(self) -> DecodeError | ParameterError:
        """What was raised."""
        return (DecodeError if self.error == "DecodeError" else ParameterError)(self.reason)


Reply: TypeAlias = Ready | Answer | Refused

_ENCODER: Final = msgspec.msgpack.Encoder()
_REQUESTS: Final[msgspec.msgpack.Decoder[Request]] = msgspec.msgpack.Decoder(Request)
_REPLIES: Final[msgspec.msgpack.Decoder[Reply]] = msgspec.msgpack.Decoder(Reply)


def head_of(value: Request | Reply, tail_bytes: int = 0) -> bytes:
    """What goes before the tail: both lengths and the head."""
    head = _ENCODER.encode(value)
    return LENGTHS.pack(len(head), tail_bytes) + head


def read_request(read: ReadInto) -> tuple[Request, bytearray]:
    """The next request and its tail.

    Raises:
        DecodeError: not a request.
        EOFError: the other side is gone.
    """
    return _read(read, _REQUESTS)


def read_reply(read: ReadInto) -> tuple[Reply, bytearray]:
    """The next reply and its tail.

    Raises:
        DecodeError: not a reply.
        EOFError: the other side is gone.
    """
    return _read(read, _REPLIES)


def wipe(tail: bytearray) -> None:
    """Overwrite it with zeros: seeds and slots are secret."""
    tail[:] = bytes(len(tail))


def _read(read: ReadInto, decoder: msgspec.msgpack.Decoder[_T]) -> tuple[_T, bytearray]:
    head_bytes, tail_bytes = LENGTHS.unpack(_exactly(read, LENGTHS.size))
    if head_bytes > MAX_HEAD_BYTES or tail_bytes > MAX_TAIL_BYTES:
        raise DecodeError(
            f"at most {MAX_HEAD_BYTES} and {MAX_TAIL_BYTES} bytes are taken,"
            f" {head_bytes} and {tail_bytes} announced"
        )
    try:
        head = decoder.decode(_exactly(read, head_bytes))
    except (msgspec.MsgspecError, ValueError) as error:
        raise DecodeError(f"not a head: {error}") from None
    return head, _exactly(read, tail_bytes)


def _exactly(read: ReadInto, count: int) -> bytearray:
    data = bytearray(count)
    rest = memoryview(data)
    while rest:
        got = read(rest)
        if not got:
            raise EOFError("the channel was closed")
        rest = rest[got:]
    return data

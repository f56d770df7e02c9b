"""What a simulation and its worker processes say to each other, and how it is framed.

One request, one reply. A message is its length, a MessagePack body, and the tails of the frames in
it, uncopied, one after the other. Nothing is trusted by either side: bodies and tails have caps,
and what does not decode ends the simulation.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Sequence
from typing import Annotated, Final, TypeAlias, TypeVar

import msgspec

from secagg.errors import DecodeError
from secagg.runner.recipe import Recipe
from secagg.types import PartyId
from secagg.wire import Frame

LENGTH_BYTES: Final = 8
MAX_BODY_BYTES: Final = 1 << 27
MAX_TEXT: Final = 1000
BATCH_BYTES: Final = 1 << 18
"""Frames travel in batches that are closed once they have this size, so one more frame fits."""

_STEP: Final = 1 << 20

Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 62)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]
Word = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]


class Parcel(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A frame on its way; its tail, of so many bytes, comes after the body."""

    sender: PartyId
    recipient: PartyId
    head: bytes
    tail: Count


class Begin(msgspec.Struct, frozen=True, tag=True, array_like=True, forbid_unknown_fields=True):
    """A round begins, and what was left of the one before is dropped.

    Attributes:
        recipe: of the round.
        session: the id of the session that it leads to.
        first: the place among the task's clients of the first that lives in the worker.
        stride: how many places on the next one is, and so on.
        kernels: the kernel level.
        threads: of kernels.
    """

    recipe: Recipe
    session: Word
    first: Count
    stride: Annotated[int, msgspec.Meta(ge=1)]
    kernels: str
    threads: Annotated[int, msgspec.Meta(ge=1)]


class Work(msgspec.Struct, frozen=True, tag=True, array_like=True, forbid_unknown_fields=True):
    """Deliver these frames, and go on until a batch is full or nothing is left to do.

    Attributes:
        parcels: frames for parties in the worker.
        expire: whether nothing more will come, so that everybody's deadline passes.
    """

    parcels: tuple[Parcel, ...]
    expire: bool


class Close(msgspec.Struct, frozen=True, tag=True, array_like=True, forbid_unknown_fields=True):
    """The round is over: give account."""


Request: TypeAlias = Begin | Work | Close


class Ready(msgspec.Struct, frozen=True, tag=True, array_like=True, forbid_unknown_fields=True):
    """The first word of a worker, unasked."""


class Batch(msgspec.Struct, frozen=True, tag=True, array_like=True, forbid_unknown_fields=True):
    """The answer to `Begin` and `Work`.

    Attributes:
        parcels: frames for parties elsewhere.
        busy: whether there is more to do already.
        waiting: whether a deadline would mean anything to anybody.
    """

    parcels: tuple[Parcel, ...]
    busy: bool
    waiting: bool


class Account(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A party's `PartyReport`, its errors as text; `given` is SHA-256 of its input, or empty."""

    party: PartyId
    phase: Text
    cpu_seconds: Seconds
    sent: Count
    received: Count
    messages: Count
    effects: Count
    late: Count
    refused: tuple[Text, ...]
    failure: Text | None
    given: Annotated[bytes, msgspec.Meta(max_length=32)]


class Accounts(msgspec.Struct, frozen=True, tag=True, array_like=True, forbid_unknown_fields=True):
    """The answer to `Close`.

    Attributes:
        accounts: of all parties in the worker.
        accused: peers that parties in the worker found breaking the rules, and which.
        peak_bytes: of the process's resident memory in this round.
    """

    accounts: tuple[Account, ...]
    accused: tuple[tuple[PartyId, Text], ...]
    peak_bytes: Count


class Broken(msgspec.Struct, frozen=True, tag=True, array_like=True, forbid_unknown_fields=True):
    """The last word of a worker that cannot go on."""

    reason: Text


Reply: TypeAlias = Ready | Batch | Accounts | Broken

_ENCODER: Final = msgspec.msgpack.Encoder()
_REQUESTS: Final[msgspec.msgpack.Decoder[Request]] = msgspec.msgpack.Decoder(Request)
_REPLIES: Final[msgspec.msgpack.Decoder[Reply]] = msgspec.msgpack.Decoder(Reply)


class Outbox:
    """Frames on their way to another process, in order, closed to batches.

    Attributes:
        size: bytes that wait.
    """

    def __init__(self) -> None:
        self.size = 0
        self._waiting: deque[tuple[PartyId, PartyId, Frame]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, sender: PartyId, recipient: PartyId, frame: Frame) -> None:
        """One more frame."""
        self._waiting.append((sender, recipient, frame))
        self.size += frame.size

    def batch(self) -> tuple[tuple[Parcel, ...], list[memoryview]]:
        """The first frames up to the one that fills a batch, and their tails."""
        parcels, tails, size = [], [], 0
        while self._waiting and size < BATCH_BYTES:
            sender, recipient, frame = self._waiting.popleft()
            parcels.append(Parcel(sender, recipient, frame.head, frame.tail.nbytes))
            tails.append(frame.tail)
            size += frame.size
        self.size -= size
        return tuple(parcels), tails


class Port:
    """One end of the channel between the two processes.

    Attributes:
        largest: bytes of the largest tail that is taken.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self.largest = 0

    def fileno(self) -> int:
        """For selectors."""
        return self._socket.fileno()

    def send(self, value: Request | Reply, tails: Sequence[memoryview] = ()) -> None:
        """A message whose parcels have these tails.

        Raises:
            OSError: the other side is gone, or takes nothing.
        """
        body = _ENCODER.encode(value)
        self._socket.sendall(len(body).to_bytes(LENGTH_BYTES, "big") + body)
        for tail in tails:
            self._socket.sendall(tail)

    def receive_request(self) -> tuple[Request, list[Frame]]:
        """The next request, and the frames of its parcels.

        Raises:
            DecodeError: not a request, or more than is taken.
            EOFError: the other side is gone.
            OSError: likewise, or nothing comes.
        """
        value = _decoded(_REQUESTS, self._body())
        return value, self._frames(value.parcels if isinstance(value, Work) else ())

    def receive_reply(self) -> tuple[Reply, list[Frame]]:
        """The next reply, and the frames of its parcels.

        Raises:
            DecodeError: not a reply, or more than is taken.
            EOFError: the other side is gone.
            OSError: likewise, or nothing comes.
        """
        value = _decoded(_REPLIES, self._body())
        return value, self._frames(value.parcels if isinstance(value, Batch) else ())

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _body(self) -> bytearray:
        head = bytearray(LENGTH_BYTES)
        self._fill(memoryview(head))
        length = int.from_bytes(head, "big")
        if length > MAX_BODY_BYTES:
            raise DecodeError(f"at most {MAX_BODY_BYTES} bytes are taken, {length} announced")
        body = bytearray()
        while len(body) < length:  # in steps: what is announced need not come
            step = bytearray(min(_STEP, length - len(body)))
            self._fill(memoryview(step))
            body += step
        return body

    def _frames(self, parcels: Sequence[Parcel]) -> list[Frame]:
        tails = [parcel.tail for parcel in parcels]
        most = max(tails, default=0)
        if most > self.largest or sum(tails) - most > BATCH_BYTES:
            raise DecodeError(
                f"a batch has at most {BATCH_BYTES} bytes and a tail of {self.largest},"
                f" {sum(tails)} announced, {most} of them in one tail"
            )
        frames = []
        for parcel in parcels:
            tail = memoryview(bytearray(parcel.tail))
            self._fill(tail)
            frames.append(Frame(parcel.head, tail))
        return frames

    def _fill(self, view: memoryview) -> None:
        while view:
            count = self._socket.recv_into(view)
            if not count:
                raise EOFError("the other side hung up")
            view = view[count:]


_T = TypeVar("_T")


def _decoded(decoder: msgspec.msgpack.Decoder[_T], body: bytearray) -> _T:
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, ValueError) as error:
        raise DecodeError(f"not a message: {error}") from None

"""The one channel of an enclave's process: requests in, replies out, each with its length.

Nothing here is trusted by either side: what does not decode ends the process or the round.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final, TypeAlias, TypeVar

import msgspec

from secagg.errors import DecodeError
from secagg.types import PartyId

LENGTH_BYTES: Final = 8
MAX_BYTES: Final = 1 << 36
_STEP: Final = 1 << 20

_T = TypeVar("_T")

Word = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]


class Open(msgspec.Struct, frozen=True, tag=True, array_like=True, forbid_unknown_fields=True):
    """Begin a session, and end the one before if it has not ended. Everything in it is public."""

    plan: bytes
    epoch: int
    clients: tuple[PartyId, ...]
    keys: tuple[bytes, ...]
    authority: bytes
    job: str
    training_round: int
    model_digest: Word
    nonce: Word


class Start(msgspec.Struct, frozen=True, tag=True, array_like=True, forbid_unknown_fields=True):
    """Start the party of the session, which must be the one that is open."""

    session: Word


class Offer(msgspec.Struct, frozen=True, tag=True, array_like=True, forbid_unknown_fields=True):
    """A frame from `sender`, or with no frame the end of `phase`; the reply tells its fate."""

    session: Word
    sender: PartyId
    frame: bytes
    phase: str


class Proceed(msgspec.Struct, frozen=True, tag=True, array_like=True, forbid_unknown_fields=True):
    """Handle what was offered last."""

    session: Word


Request: TypeAlias = Open | Start | Offer | Proceed


class Safeguard(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One protection of the process, and whether it could be had."""

    name: str
    held: bool
    details: str

    def __str__(self) -> str:
        return f"{self.name}: {self.details}" if self.held else f"{self.name}: NO, {self.details}"


class Ready(msgspec.Struct, frozen=True, tag=True, array_like=True, forbid_unknown_fields=True):
    """The first word of a process: who it says it is, what protects it, and the CPU it has used."""

    root: Word
    measurement: Word
    safeguards: tuple[Safeguard, ...]
    cpu_seconds: float


class Sent(msgspec.Struct, frozen=True, tag=True, array_like=True, forbid_unknown_fields=True):
    """Deliver this frame."""

    to: PartyId
    frame: bytes


class Accused(msgspec.Struct, frozen=True, tag=True, array_like=True, forbid_unknown_fields=True):
    """A peer broke the rules."""

    culprit: PartyId
    error: str
    reason: str


class Released(msgspec.Struct, frozen=True, tag=True, array_like=True, forbid_unknown_fields=True):
    """The total, over these clients."""

    total: bytes
    included: tuple[PartyId, ...]


class Failed(msgspec.Struct, frozen=True, tag=True, array_like=True, forbid_unknown_fields=True):
    """The round is lost."""

    reason: str


class Reply(msgspec.Struct, frozen=True, tag=True, array_like=True, forbid_unknown_fields=True):
    """The answer to a request.

    Attributes:
        fate: of what was offered: "now", "early" or "late".
        effects: to carry out, in order.
        phase: of the party.
        cpu_seconds: that the process has used since its start.
        misuse: the driver's mistake, if it made one.
    """

    fate: str
    effects: tuple[Sent | Accused | Released | Failed, ...]
    phase: str
    cpu_seconds: float
    misuse: str


_ENCODER: Final = msgspec.msgpack.Encoder()
_REQUESTS: Final[msgspec.msgpack.Decoder[Request]] = msgspec.msgpack.Decoder(Request)
_REPLIES: Final[msgspec.msgpack.Decoder[Ready | Reply]] = msgspec.msgpack.Decoder(Ready | Reply)


def encode(value: Request | Ready | Reply) -> bytes:
    """With its length in front."""
    body = _ENCODER.encode(value)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def read_request(read: Callable[[int], bytes]) -> Request:
    """The next request.

    Raises:
        DecodeError: not a request.
        EOFError: the other side is gone.
    """
    return _decoded(_REQUESTS, _body(read), "request")


def read_reply(read: Callable[[int], bytes]) -> Ready | Reply:
    """The next reply.

    Raises:
        DecodeError: not a reply.
        EOFError: the other side is gone.
    """
    return _decoded(_REPLIES, _body(read), "reply")


def _decoded(decoder: msgspec.msgpack.Decoder[_T], body: bytearray, what: str) -> _T:
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, ValueError) as error:
        raise DecodeError(f"not a {what}: {error}") from None


def _body(read: Callable[[int], bytes]) -> bytearray:
    length = int.from_bytes(_exactly(read, LENGTH_BYTES), "big")
    if length > MAX_BYTES:
        raise DecodeError(f"at most {MAX_BYTES} bytes are taken, {length} announced")
    return _exactly(read, length)


def _exactly(read: Callable[[int], bytes], count: int) -> bytearray:
    data = bytearray()
    while len(data) < count:
        piece = read(min(_STEP, count - len(data)))
        if not piece:
            raise EOFError("the channel was closed")
        data += piece
    return data

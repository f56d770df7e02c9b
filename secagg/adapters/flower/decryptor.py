"""The third party of `bfv` and `ckks`: it holds the key, in other hands than the server's.

It is no node of Flower's: a node keeps nothing between two messages but what is stored, and a key
that is stored outlives its session. So it is a process of its own, wherever its owner wants it, and
the grid speaks to it over a stream: `serve_decryptor` there, `RemoteDecryptor` here.

    up:    "I" invitation | "F" message | each with its length, u32
    down:  number of messages u32, then each with its length
"""

from __future__ import annotations

import socket
import struct
import time
from contextlib import suppress
from typing import Final, Protocol

from secagg.endpoint import MAX_INVITATION_BYTES, Invitation, Outgoing, ServerEndpoint
from secagg.errors import DecodeError, PolicyError, RoundFailed
from secagg.types import DECRYPTOR, SERVER

SESSION_SECONDS: Final = 3600.0
"""How long a decryptor waits for the sum of a session."""

MAX_MESSAGES: Final = 1 << 16
MAX_MESSAGE_BYTES: Final = 1 << 34
_LENGTH: Final = struct.Struct(">Q")
_HEAD: Final = struct.Struct(">cQ")


class DecryptorLink(Protocol):
    """How a grid speaks to the decryptor."""

    def begin(self, invitation: bytes) -> list[bytes]:
        """Open a session; what the decryptor says first to the server.

        Raises:
            RoundFailed: it says nothing.
        """
        ...

    def receive(self, data: bytes) -> list[bytes]:
        """Give it one message of the server's; what it says.

        Raises:
            RoundFailed: it is gone, or refuses.
        """
        ...


class Decryptor:
    """The decryptor of one session after another, in the process that it is made in."""

    def __init__(self) -> None:
        self._endpoint: ServerEndpoint | None = None

    def begin(self, invitation: bytes) -> list[bytes]:
        """Open a session."""
        self._endpoint = ServerEndpoint(
            Invitation.decode(invitation), deadlines=SESSION_SECONDS, me=DECRYPTOR
        )
        return self._drained(self._endpoint.start(time.monotonic()))

    def receive(self, data: bytes) -> list[bytes]:
        """Give it a message."""
        if self._endpoint is None:
            raise RoundFailed("the decryptor has no session")
        said = self._drained(self._endpoint.receive(SERVER, data, time.monotonic()))
        if self._endpoint.failure is not None:
            raise RoundFailed(f"the decryptor failed: {self._endpoint.failure}")
        return said

    def _drained(self, said: list[Outgoing]) -> list[bytes]:
        assert self._endpoint is not None, "begun"  # noqa: S101
        while self._endpoint.wait(now := time.monotonic()) == 0:
            said += self._endpoint.tick(now)
        return [each.data for each in said if each.to == SERVER]


class SimulatedDecryptor(Decryptor):
    """SIMULATED: a decryptor in the server's own memory. For tests and for counting costs.

    Whoever reads that memory reads every upload.
    """


class RemoteDecryptor:
    """A decryptor at the other end of a connected stream.

    Args:
        stream: connected; an `ssl.SSLSocket` with certificates on both sides, unless the network is
            one machine.
        timeout: seconds that one answer may take.
    """

    def __init__(self, stream: socket.socket, timeout: float = 120.0) -> None:
        stream.settimeout(timeout)
        self._stream = stream

    def begin(self, invitation: bytes) -> list[bytes]:
        """Open a session."""
        return self._ask(b"I", invitation)

    def receive(self, data: bytes) -> list[bytes]:
        """Give it a message."""
        return self._ask(b"F", data)

    def _ask(self, kind: bytes, data: bytes) -> list[bytes]:
        try:
            self._stream.sendall(_HEAD.pack(kind, len(data)) + data)
            count = _LENGTH.unpack(_read(self._stream, _LENGTH.size))[0]
            if count > MAX_MESSAGES:
                raise RoundFailed(f"the decryptor announced {count} messages")
            return [_read_message(self._stream) for _ in range(count)]
        except (OSError, EOFError, DecodeError) as error:
            raise RoundFailed(f"the decryptor is gone: {error}") from None


def serve_decryptor(stream: socket.socket, *, min_clients: int = 3) -> None:
    """Be the decryptor of one server's sessions until it hangs up, in a process of its own.

    Args:
        stream: connected to the server.
        min_clients: the smallest sum that is opened, whatever a session says.

    Raises:
        PolicyError: a session with a smaller floor; the connection is to be closed.
        SecaggError: the server speaks nonsense; likewise.
    """
    own = Decryptor()
    # In the middle of a message as well: what came of it was not looked at.
    with suppress(EOFError, ConnectionError):
        while True:
            _answer_one(stream, own, min_clients)


def _answer_one(stream: socket.socket, own: Decryptor, min_clients: int) -> None:
    kind, size = _HEAD.unpack(_read(stream, _HEAD.size))
    limit = MAX_INVITATION_BYTES if kind == b"I" else MAX_MESSAGE_BYTES
    if kind not in (b"I", b"F") or size > limit:
        raise DecodeError(f"expected an invitation or a message, got {kind!r} of {size} bytes")
    data = _read(stream, size)
    if kind == b"I":
        offered = Invitation.decode(data).task.min_clients
        if offered < min_clients:
            raise PolicyError("min_clients", min_clients, offered)
    said = own.begin(data) if kind == b"I" else own.receive(data)
    stream.sendall(_LENGTH.pack(len(said)))
    for each in said:
        stream.sendall(_LENGTH.pack(len(each)) + each)


def _read_message(stream: socket.socket) -> bytes:
    size = _LENGTH.unpack(_read(stream, _LENGTH.size))[0]
    if size > MAX_MESSAGE_BYTES:
        raise DecodeError(f"expected at most {MAX_MESSAGE_BYTES} bytes, {size} were announced")
    return _read(stream, size)


def _read(stream: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = stream.recv(min(1 << 20, size - len(data)))
        if not piece:
            raise EOFError("the connection was closed")
        data += piece
    return bytes(data)

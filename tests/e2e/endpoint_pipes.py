"""A channel over two descriptors: length u32 | role u8 | number u32 | one message."""

from __future__ import annotations

import os
import select
import signal
import struct
from typing import Final

from secagg.durable import write_all
from secagg.types import PartyId, Role

_HEAD: Final = struct.Struct(">IBI")


class Pipe:
    """The party is whom a message is for, or who sent it: whoever holds the pipe's end knows."""

    def __init__(self, reading: int, writing: int) -> None:
        self.reading, self.writing = reading, writing

    def send(self, to: PartyId, data: bytes) -> None:
        write_all(self.writing, _HEAD.pack(len(data), *to) + data)

    def receive(self, timeout: float | None) -> tuple[PartyId, bytes] | None:
        """One message; None if none began in time.

        Raises:
            EOFError: the other end is closed.
        """
        if not select.select([self.reading], [], [], timeout)[0]:
            return None
        size, role, number = _HEAD.unpack(self._read(_HEAD.size))
        return PartyId(Role(role), number), self._read(size)

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = os.read(self.reading, size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data


class DyingPipe(Pipe):
    """Kills its own process instead of sending message number `fuse`; never if that is negative."""

    def __init__(self, reading: int, writing: int, fuse: int) -> None:
        super().__init__(reading, writing)
        self.fuse, self.sent = fuse, 0

    def send(self, to: PartyId, data: bytes) -> None:
        if self.sent == self.fuse:
            os.kill(os.getpid(), signal.SIGKILL)
        self.sent += 1
        super().send(to, data)

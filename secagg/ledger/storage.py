"""Where a ledger lives: the few operations that a store must offer, and one in memory."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Protocol

from secagg.errors import LedgerBusy, LedgerCorrupt, LedgerError, LedgerMissing

KEY: Final = "key"
"""The item that holds a session's key; the one that `erase` must overwrite, not only remove."""


class Storage(Protocol):
    """One ledger's bytes: a log, a mark, and named items of each session.

    Every change is durable when its call returns. An interrupted `append` may leave a beginning
    of its bytes; an interrupted `put` anything, under that name only; `replace_mark` is one or the
    other; an interrupted `erase` may leave items, but the key goes first.
    """

    @property
    def place(self) -> str:
        """What errors call it."""
        ...

    def create(self, log: bytes, mark: bytes) -> None:
        """A new ledger. Raises LedgerError if there is one already."""
        ...

    def load(self) -> tuple[bytes, bytes]:
        """The log and the mark, empty if there is none; from now on nobody else may load.

        Raises:
            LedgerMissing: there is no ledger here.
            LedgerBusy: somebody else has loaded it.
        """
        ...

    def append(self, data: bytes) -> None:
        """Add to the end of the log."""
        ...

    def cut(self, size: int) -> None:
        """Drop all of the log from this byte on."""
        ...

    def replace_mark(self, mark: bytes) -> None:
        """Put another mark in the place of the one that is there, at once."""
        ...

    def sessions(self) -> Collection[bytes]:
        """The sessions that have items."""
        ...

    def items(self, session: bytes) -> Collection[str]:
        """The names of a session's items."""
        ...

    def put(self, session: bytes, name: str, data: bytes | bytearray) -> None:
        """Store an item, in place of any that has its name."""
        ...

    def get(self, session: bytes, name: str) -> bytes | None:
        """An item, or None."""
        ...

    def erase(self, session: bytes, keep: Collection[str] = ()) -> None:
        """Remove a session's items, the key first and overwritten, but for those named."""
        ...

    def close(self) -> None:
        """Let others load. Twice is once."""
        ...


def session_named(name: str, place: str) -> bytes:
    """The session whose name in a directory this is: its id in lower-case hexadecimal digits.

    Raises:
        LedgerCorrupt: it is nothing of the kind, so somebody else put it there.
    """
    try:
        session = bytes.fromhex(name)
    except ValueError:
        session = b""
    # Spaces and capitals would be read too, and then looked for under the one right name.
    if not session or session.hex() != name:
        raise LedgerCorrupt(f"expected session ids, got {name!r}", place=place)
    return session


class MemoryStorage:
    """A ledger in memory, for tests and simulations: it outlives a party, not the process."""

    def __init__(self, place: str = "memory") -> None:
        self.place = place
        self.log = b""
        self.mark = b""
        self.stored: dict[bytes, dict[str, bytes]] = {}
        self._exists = False
        self._loaded = False

    def create(self, log: bytes, mark: bytes) -> None:
        """A new ledger."""
        if self._exists:
            raise LedgerError("there is a ledger already", place=self.place)
        self.log, self.mark, self._exists = log, mark, True

    def load(self) -> tuple[bytes, bytes]:
        """The log and the mark."""
        if not self._exists:
            raise LedgerMissing("there is no ledger here", place=self.place)
        if self._loaded:
            raise LedgerBusy("the ledger is open already", place=self.place)
        self._loaded = True
        return self.log, self.mark

    def append(self, data: bytes) -> None:
        """Add to the end of the log."""
        self.log += data

    def cut(self, size: int) -> None:
        """Drop all of the log from this byte on."""
        self.log = self.log[:size]

    def replace_mark(self, mark: bytes) -> None:
        """Another mark."""
        self.mark = mark

    def sessions(self) -> Collection[bytes]:
        """The sessions that have items."""
        return list(self.stored)

    def items(self, session: bytes) -> Collection[str]:
        """The names of a session's items."""
        return list(self.stored.get(session, ()))

    def put(self, session: bytes, name: str, data: bytes | bytearray) -> None:
        """Store an item."""
        self.stored.setdefault(session, {})[name] = bytes(data)

    def get(self, session: bytes, name: str) -> bytes | None:
        """An item, or None."""
        return self.stored.get(session, {}).get(name)

    def erase(self, session: bytes, keep: Collection[str] = ()) -> None:
        """Remove a session's items but for those named."""
        left = {name: data for name, data in self.stored.pop(session, {}).items() if name in keep}
        if left:
            self.stored[session] = left

    def close(self) -> None:
        """Let others load."""
        self._loaded = False

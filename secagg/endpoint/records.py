"""What a server leaves for its successor: the records of its party, durable before it acts on them.

They hold what the server saw: masked vectors and revealed shares among it, so whoever reads them
learns what the server could. In a directory each session has one file, to which records are
appended:

    head length u64 | tail length u64 | final u8 | check 16 | digest 32 | head | tail   (big-endian)

The final record, the sum, takes the place of the file. A record that is cut short at the end was
never acted on and goes; the check of the lengths tells it from one that was changed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol, overload

from secagg.crypto.digest import DIGEST_BYTES, digest
from secagg.durable import flush_directory, write_all
from secagg.errors import LedgerBusy, LedgerCorrupt, LedgerUnavailable
from secagg.ledger.files import check_private, ledger_errors
from secagg.protocol import Record

_LENGTHS: Final = struct.Struct(">QQ?")
_CHECK_BYTES: Final = 16
_PREAMBLE_BYTES: Final = _LENGTHS.size + _CHECK_BYTES + DIGEST_BYTES


class RecordStore(Protocol):
    """The records of a server's sessions. Every change is durable when its call returns."""

    def load(self, session: bytes) -> Sequence[Record]:
        """The records of a session in order; none if it is unknown."""
        ...

    def add(self, session: bytes, record: Record) -> None:
        """One more record; a final one takes the place of all before it."""
        ...

    def erase(self, session: bytes) -> None:
        """Forget a session. Of an unknown one there is nothing to forget."""
        ...


class MemoryRecords:
    """Records in memory, for tests: they outlive an endpoint, not the process."""

    def __init__(self) -> None:
        self._sessions: dict[bytes, list[Record]] = {}

    def load(self, session: bytes) -> Sequence[Record]:
        """As `RecordStore.load`."""
        return tuple(self._sessions.get(session, ()))

    def add(self, session: bytes, record: Record) -> None:
        """As `RecordStore.add`."""
        kept = Record(record.head, memoryview(bytes(record.tail)), record.final)
        if record.final:
            self._sessions[session] = [kept]
        else:
            self._sessions.setdefault(session, []).append(kept)

    def erase(self, session: bytes) -> None:
        """As `RecordStore.erase`."""
        self._sessions.pop(session, None)


class _Place(NamedTuple):
    """Where a record is in its file."""

    offset: int
    head: int
    tail: int
    final: bool

    @property
    def start(self) -> int:
        return self.offset + _PREAMBLE_BYTES

    @property
    def end(self) -> int:
        return self.start + self.head + self.tail


class FileRecords:
    """Records in a directory of the local file system, which one process at a time uses.

    Args:
        root: the directory; made if it is missing, for its owner alone.

    Raises:
        LedgerBusy: another process uses it.
        LedgerUnavailable: it cannot be used, or others may read it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        with ledger_errors(root):
            root.mkdir(mode=0o700, exist_ok=True)
            check_private(root)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self._lock: int | None = os.open(root / "lock", flags, 0o600)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(self._lock)
                raise LedgerBusy("another process has it open", place=str(root)) from None
            flush_directory(root)

    def load(self, session: bytes) -> Sequence[Record]:
        """As `RecordStore.load`; vectors are read one by one, when they are asked for."""
        path = self._of(session)
        with ledger_errors(path):
            self._check_open()
            if not path.exists():
                return ()
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                places = list(_places(descriptor, str(path)))
                end = places[-1].end if places else 0
                if end != os.fstat(descriptor).st_size:
                    os.ftruncate(descriptor, end)
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
        return _FileRecords(path, places)

    def add(self, session: bytes, record: Record) -> None:
        """As `RecordStore.add`."""
        path = self._of(session)
        with ledger_errors(path):
            self._check_open()
            if record.final:
                new = path.with_suffix(".new")
                _write(new, record, os.O_TRUNC)
                new.replace(path)
                flush_directory(self._root)
                return
            fresh = not path.exists()
            _write(path, record, os.O_APPEND)
            if fresh:
                flush_directory(self._root)

    def erase(self, session: bytes) -> None:
        """As `RecordStore.erase`."""
        with ledger_errors(self._of(session)):
            self._check_open()
            self._of(session).unlink(missing_ok=True)
            flush_directory(self._root)

    def close(self) -> None:
        """Let another process use it. Twice is once."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _of(self, session: bytes) -> Path:
        return self._root / session.hex()

    def _check_open(self) -> None:
        if self._lock is None:
            raise LedgerUnavailable("the records are closed", place=str(self._root))


class _FileRecords(Sequence[Record]):
    """The records of one file, each read when it is asked for."""

    def __init__(self, path: Path, places: Sequence[_Place]) -> None:
        self._path = path
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Record: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Record]: ...

    def __getitem__(self, index: int | slice) -> Record | Sequence[Record]:
        if isinstance(index, slice):
            return _FileRecords(self._path, self._places[index])
        place = self._places[index]
        with ledger_errors(self._path):
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                data = memoryview(_read(descriptor, place.start, place.head + place.tail))
            finally:
                os.close(descriptor)
        return Record(bytes(data[: place.head]), data[place.head :], place.final)


def _check(offset: int, lengths: bytes) -> bytes:
    return digest("record lengths", offset.to_bytes(8, "big"), lengths)[:_CHECK_BYTES]


def _digest(head: bytes | memoryview, tail: memoryview) -> bytes:
    state = hashlib.sha256(head)
    state.update(tail)
    return state.digest()


def _write(path: Path, record: Record, flags: int) -> None:
    tail = record.tail.cast("B")
    flags |= os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        offset = os.fstat(descriptor).st_size
        lengths = _LENGTHS.pack(len(record.head), len(tail), record.final)
        preamble = lengths + _check(offset, lengths) + _digest(record.head, tail)
        write_all(descriptor, preamble + record.head)
        write_all(descriptor, tail)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _places(descriptor: int, place: str) -> Iterator[_Place]:
    """The whole records of a file; ends at one that is cut short."""
    size, offset = os.fstat(descriptor).st_size, 0
    while offset + _PREAMBLE_BYTES <= size:
        preamble = bytes(_read(descriptor, offset, _PREAMBLE_BYTES))
        lengths, rest = preamble[: _LENGTHS.size], preamble[_LENGTHS.size :]
        if rest[:_CHECK_BYTES] != _check(offset, lengths):
            raise LedgerCorrupt("a record's lengths were changed", place=place, offset=offset)
        found = _Place(offset, *_LENGTHS.unpack(lengths))
        # Whether a record is final is one of two bytes, though any would be read.
        if _LENGTHS.pack(found.head, found.tail, found.final) != lengths:
            raise LedgerCorrupt("expected a final record or none", place=place, offset=offset)
        if found.end > size:
            return
        data = memoryview(_read(descriptor, found.start, found.head + found.tail))
        if _digest(data[: found.head], data[found.head :]) != rest[_CHECK_BYTES:]:
            raise LedgerCorrupt("a record was changed", place=place, offset=offset)
        yield found
        offset = found.end


def _read(descriptor: int, offset: int, size: int) -> bytearray:
    data = bytearray(size)
    filled = 0
    while filled < size:
        count = os.preadv(descriptor, [memoryview(data)[filled:]], offset + filled)
        if not count:
            raise OSError(f"expected {size} bytes at {offset}, got {filled}")
        filled += count
    return data

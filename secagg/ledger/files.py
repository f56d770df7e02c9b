"""A ledger in a directory of the local file system, and the device's key in a file.

    log                       see secagg.ledger.entries; locked while open
    mark                      how far the log has come; replaced as a whole
    sessions/<id>/key         32 bytes, overwritten and removed when the session ends
    sessions/<id>/000000 ...  sealed records, removed with the key
    sessions/<id>/answer      the sealed final record

Every change is flushed to the device, and so is the directory that it is in. Locks and flushes
are the local file system's: a network file system may promise less.
"""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from secagg.crypto.rng import SEED_BYTES
from secagg.durable import flush_directory, write_all
from secagg.errors import (
    LedgerBusy,
    LedgerCorrupt,
    LedgerError,
    LedgerMissing,
    LedgerUnavailable,
)
from secagg.ledger.storage import KEY, session_named
from secagg.types import Rng, Secret

_PRIVATE: Final = 0o600
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITE: Final = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


def create_device_key(path: Path, rng: Rng) -> Secret:
    """Draw a device's key and write it to a file that only its owner may read.

    Keep it away from the ledger, and out of backups: who has both can put an old ledger back.

    Raises:
        LedgerError: the file exists.
        LedgerUnavailable: it cannot be written.
    """
    key = rng.bytes(SEED_BYTES)
    try:
        with ledger_errors(path):
            write_file(path, key, os.O_EXCL)
            flush_directory(path.parent)
    except LedgerUnavailable as error:
        if isinstance(error.__cause__, FileExistsError):
            raise LedgerError("there is a key already", place=str(path)) from None
        raise
    return Secret(key)


def load_device_key(path: Path) -> Secret:
    """A device's key.

    Raises:
        LedgerMissing: there is no such file.
        LedgerUnavailable: it cannot be read, or others than its owner may.
        LedgerCorrupt: not 32 bytes.
    """
    with ledger_errors(path):
        check_private(path)
        key = read_file(path)
    if len(key) != SEED_BYTES:
        raise LedgerCorrupt(
            f"expected a key of {SEED_BYTES} bytes, got {len(key)}", place=str(path)
        )
    return Secret(key)


class FileStorage:
    """A `Storage` in a directory. One process at a time, and no fork of it, may use it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._log = root / "log"
        self._mark = root / "mark"
        self._sessions = root / "sessions"
        self._descriptor: int | None = None
        self._process = 0

    @property
    def place(self) -> str:
        """The path of the log."""
        return str(self._log)

    def create(self, log: bytes, mark: bytes) -> None:
        """A new ledger: made beside its place, and put there whole.

        Raises:
            LedgerError: there is one already.
            LedgerUnavailable: it cannot be written.
        """
        with ledger_errors(self._root):
            if self._root.exists() and any(self._root.iterdir()):
                raise LedgerError("there is a ledger already", place=self.place)
            made = Path(tempfile.mkdtemp(prefix=f"{self._root.name}.", dir=self._root.parent))
            write_file(made / self._log.name, log)
            write_file(made / self._mark.name, mark)
            (made / self._sessions.name).mkdir(mode=0o700)
            flush_directory(made)
            # Onto a directory with anything in it this fails: nobody's ledger is replaced.
            made.rename(self._root)
            flush_directory(self._root.parent)

    def load(self) -> tuple[bytes, bytes]:
        """The log, locked, and the mark."""
        if self._descriptor is not None:
            raise LedgerBusy("the ledger is open already", place=self.place)
        with ledger_errors(self._root):
            check_private(self._root)
        with ledger_errors(self._log):
            flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            self._descriptor = os.open(self._log, flags)
            self._process = os.getpid()
        try:
            with ledger_errors(self._log):
                try:
                    fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise LedgerBusy("another process has it open", place=self.place) from None
                log = read_file(self._log)
            with ledger_errors(self._mark):
                return log, read_file(self._mark) if self._mark.exists() else b""
        except BaseException:
            self.close()
            raise

    def append(self, data: bytes) -> None:
        """Add to the end of the log, flushed."""
        with ledger_errors(self._log):
            descriptor = self._own()
            write_all(descriptor, data)
            os.fsync(descriptor)

    def cut(self, size: int) -> None:
        """Drop all of the log from this byte on, flushed."""
        with ledger_errors(self._log):
            os.ftruncate(self._own(), size)
            os.fsync(self._own())

    def replace_mark(self, mark: bytes) -> None:
        """Write another mark, and move it into the place of the one that is there."""
        with ledger_errors(self._mark):
            self._own()
            new = self._mark.with_suffix(".new")
            write_file(new, mark, os.O_TRUNC)
            new.replace(self._mark)
            flush_directory(self._root)

    def sessions(self) -> Collection[bytes]:
        """The sessions that have a directory."""
        with ledger_errors(self._sessions):
            found = [path.name for path in self._sessions.iterdir()]
        return [session_named(name, str(self._sessions)) for name in found]

    def items(self, session: bytes) -> Collection[str]:
        """The names of a session's files."""
        with ledger_errors(self._of(session)):
            return [path.name for path in self._of(session).iterdir()]

    def put(self, session: bytes, name: str, data: bytes | bytearray) -> None:
        """Write a file of a session, flushed."""
        directory = self._of(session)
        with ledger_errors(directory / name):
            self._own()
            if not directory.exists():
                directory.mkdir(mode=0o700)
                flush_directory(self._sessions)
            write_file(directory / name, data, os.O_TRUNC)
            flush_directory(directory)

    def get(self, session: bytes, name: str) -> bytes | None:
        """A file of a session, or None."""
        path = self._of(session) / name
        with ledger_errors(path), suppress(FileNotFoundError):
            return read_file(path)
        return None

    def erase(self, session: bytes, keep: Collection[str] = ()) -> None:
        """Remove files of a session: the key first, and overwritten."""
        directory = self._of(session)
        with ledger_errors(directory):
            self._own()
            if not directory.exists():
                return
            names = {path.name for path in directory.iterdir()} - set(keep)
            if KEY in names:
                erase_file(directory / KEY)
            for name in sorted(names - {KEY}):
                (directory / name).unlink()
            flush_directory(directory)
            if not any(directory.iterdir()):
                directory.rmdir()
                flush_directory(self._sessions)

    def close(self) -> None:
        """Unlock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _of(self, session: bytes) -> Path:
        return self._sessions / session.hex()

    def _own(self) -> int:
        """The descriptor of the log, for the process that locked it: a fork shares the lock."""
        if self._descriptor is None:
            raise LedgerUnavailable("the ledger is not open", place=self.place)
        if self._process != os.getpid():
            raise LedgerBusy("another process has it open", place=self.place)
        return self._descriptor


@contextmanager
def ledger_errors(path: Path) -> Iterator[None]:
    """Turn the system's errors into the ledger's, with the path."""
    try:
        yield
    except FileNotFoundError as error:
        raise LedgerMissing("there is no such file", place=str(error.filename or path)) from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise LedgerUnavailable(reason, place=str(error.filename or path)) from error


def erase_file(path: Path) -> None:
    """Overwrite a file and remove it, flushed."""
    # In place: a new file would leave the old bytes where they are.
    write_file(path, bytes(path.stat().st_size))
    path.unlink()
    flush_directory(path.parent)


def check_private(path: Path) -> None:
    """Refuse a file or directory that others than its owner may access.

    Raises:
        LedgerUnavailable: they may.
    """
    mode = path.stat().st_mode
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise LedgerUnavailable(
            f"only its owner may have access, its mode is {stat.S_IMODE(mode):o}", place=str(path)
        )


def read_file(path: Path) -> bytes:
    """All of a file, which is no link."""
    descriptor = os.open(path, _READ)
    try:
        pieces = []
        while piece := os.read(descriptor, 1 << 20):
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        os.close(descriptor)


def write_file(path: Path, data: bytes | bytearray, flags: int = 0) -> None:
    """Write to the beginning of a file for its owner alone, flushed; what is behind it stays."""
    descriptor = os.open(path, _WRITE | flags, _PRIVATE)
    try:
        write_all(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

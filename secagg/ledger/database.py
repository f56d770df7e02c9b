"""An SQLite file that one process at a time has open, and that keeps what was committed.

A commit is on the device when it returns: `synchronous=EXTRA` also flushes the directory when the
journal is removed, without which a power cut could bring the journal back and undo the commit.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from secagg.durable import flush_directory
from secagg.errors import (
    LedgerBusy,
    LedgerCorrupt,
    LedgerError,
    LedgerUnavailable,
)
from secagg.ledger.files import check_private, ledger_errors

_EXTRA: Final = 3
_BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Database:
    """One file. A fork of the process that opened it may not use it.

    Args:
        path: of the file; its journal is beside it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._process = 0

    @property
    def place(self) -> str:
        """The path, as errors name it."""
        return str(self._path)

    def create(self, statements: Sequence[tuple[str, tuple[Any, ...]]]) -> None:
        """A new file, for its owner alone: made beside its place, and put there whole.

        Raises:
            LedgerError: there is a file already.
            LedgerUnavailable: it cannot be written.
        """
        with ledger_errors(self._path), self._database_errors():
            descriptor, made = tempfile.mkstemp(prefix=f"{self._path.name}.", dir=self._path.parent)
            os.close(descriptor)
            try:
                with closing(_connected(Path(made))) as connection:
                    connection.execute("BEGIN EXCLUSIVE")
                    for statement, values in statements:
                        connection.execute(statement, values)
                    connection.execute("COMMIT")
                # A link, unlike a rename, does not replace what is there.
                os.link(made, self._path)
            except FileExistsError:
                raise LedgerError("there is a file already", place=self.place) from None
            finally:
                Path(made).unlink()
            flush_directory(self._path.parent)

    def open(self) -> None:
        """Open and lock it.

        Raises:
            LedgerMissing: there is none.
            LedgerBusy: it is open, here or in another process.
            LedgerUnavailable: it cannot be used, or others than its owner may access it.
            LedgerCorrupt: it is no database, or a damaged one.
        """
        if self._connection is not None:
            raise LedgerBusy("it is open already", place=self.place)
        with ledger_errors(self._path), self._database_errors():
            check_private(self._path)
            connection = _connected(self._path)
            try:
                # In exclusive mode the lock of the first transaction stays.
                connection.execute("BEGIN EXCLUSIVE")
                connection.execute("COMMIT")
            except BaseException:
                connection.close()
                raise
        self._connection, self._process = connection, os.getpid()

    def change(self, *statements: tuple[str, tuple[Any, ...]]) -> None:
        """Carry these out, all or none; durable when it returns."""
        with self._database_errors():
            connection = self._own()
            connection.execute("BEGIN IMMEDIATE")
            try:
                for statement, values in statements:
                    connection.execute(statement, values)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def rows(self, query: str, *values: Any, cells: tuple[type, ...]) -> list[tuple[Any, ...]]:
        """All that a query finds.

        Args:
            query: what to look for.
            values: in place of the query's parameters.
            cells: the type of each cell of a row.

        Raises:
            LedgerCorrupt: a cell of another type. Our tables have none; somebody's in their place
                may.
        """
        with self._database_errors():
            found = self._own().execute(query, values).fetchall()
        for row in found:
            if tuple(map(type, row)) != cells:
                names = ", ".join(cell.__name__ for cell in cells)
                came = ", ".join(type(cell).__name__ for cell in row)
                raise LedgerCorrupt(f"expected rows of {names}, got {came}", place=self.place)
        return found

    def check_own(self) -> None:
        """Refuse to go on in a process that has not opened it.

        Raises:
            LedgerBusy, LedgerUnavailable: it is not open, or not here.
        """
        self._own()

    def close(self) -> None:
        """Close and unlock it. Twice is once."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _own(self) -> sqlite3.Connection:
        if self._connection is None:
            raise LedgerUnavailable("it is not open", place=self.place)
        if self._process != os.getpid():
            raise LedgerBusy("another process has it open", place=self.place)
        return self._connection

    @contextmanager
    def _database_errors(self) -> Iterator[None]:
        """Turn SQLite's errors into the ledger's."""
        try:
            yield
        except sqlite3.Error as error:
            # The low byte is the primary code; the rest says more about it.
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in _BUSY:
                raise LedgerBusy("another process has it open", place=self.place) from error
            if code in _DAMAGED:
                raise LedgerCorrupt(str(error), place=self.place) from error
            raise LedgerUnavailable(str(error), place=self.place) from error
        except UnicodeDecodeError as error:
            # SQLite's own words quote what is in the file.
            raise LedgerCorrupt("SQLite's complaint is no text", place=self.place) from error


def _connected(path: Path) -> sqlite3.Connection:
    # By URI, so that a missing file is an error and not a new, empty database.
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=0,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA synchronous = EXTRA")
        connection.execute("PRAGMA secure_delete = ON")
        (kept,) = connection.execute("PRAGMA synchronous").fetchone()
        (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
        if (kept, journal) != (_EXTRA, "delete"):
            raise LedgerUnavailable(
                f"expected SQLite to keep what is committed, got synchronous {kept}, journal"
                f" {journal}",
                place=str(path),
            )
    except BaseException:
        connection.close()
        raise
    return connection

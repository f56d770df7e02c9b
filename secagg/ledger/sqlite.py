"""A ledger in an SQLite file, for hosts that keep their state in one; the keys are beside it.

    PATH          tables log, mark and items
    PATH.keys/    a session's key in a file each, overwritten and removed when the session ends

SQLite cannot promise that what is deleted is gone. `secure_delete` overwrites it in the file, but a
journal holds the old page until its own blocks are used again, and a write-ahead log holds it
longer. An erased key is what makes the records of a session unreadable, so keys are not in there.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

from secagg.durable import flush_directory
from secagg.errors import LedgerCorrupt
from secagg.ledger.database import Database
from secagg.ledger.files import check_private, erase_file, ledger_errors, read_file, write_file
from secagg.ledger.storage import KEY, session_named

_TABLES: Final = (
    # The log in pieces, each at its first byte.
    "CREATE TABLE log (start INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT",
    "CREATE TABLE mark (one INTEGER PRIMARY KEY CHECK (one = 1), data BLOB NOT NULL) STRICT",
    "CREATE TABLE items (session BLOB, name TEXT, data BLOB NOT NULL,"
    " PRIMARY KEY (session, name)) STRICT",
)
_PIECE: Final = "INSERT INTO log VALUES (?, ?)"
_MARK: Final = "INSERT OR REPLACE INTO mark VALUES (1, ?)"
_ITEM: Final = "INSERT OR REPLACE INTO items VALUES (?, ?, ?)"


class SqliteStorage:
    """A `Storage` in an SQLite file and a directory of keys. One process at a time may use it.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path)
        self._keys = path.with_name(f"{path.name}.keys")
        self._end = 0

    @property
    def place(self) -> str:
        """The path of the file."""
        return self._database.place

    def create(self, log: bytes, mark: bytes) -> None:
        """A new ledger: made beside its place, and put there whole.

        Raises:
            LedgerError: there is one already.
            LedgerUnavailable: it cannot be written.
        """
        with ledger_errors(self._keys):
            self._keys.mkdir(mode=0o700, exist_ok=True)
            check_private(self._keys)
            flush_directory(self._keys.parent)
        tables = [(statement, ()) for statement in _TABLES]
        self._database.create([*tables, (_PIECE, (0, log)), (_MARK, (mark,))])

    def load(self) -> tuple[bytes, bytes]:
        """The log, locked, and the mark."""
        self._database.open()
        try:
            with ledger_errors(self._keys):
                check_private(self._keys)
            log = b"".join(self._pieces())
            self._end = len(log)
            marks = self._database.rows("SELECT data FROM mark", cells=(bytes,))
            return log, marks[0][0] if marks else b""
        except BaseException:
            self.close()
            raise

    def append(self, data: bytes) -> None:
        """Add to the end of the log."""
        self._database.change((_PIECE, (self._end, data)))
        self._end += len(data)

    def cut(self, size: int) -> None:
        """Drop all of the log from this byte on."""
        self._database.change(
            ("DELETE FROM log WHERE start >= ?", (size,)),
            (
                "UPDATE log SET data = substr(data, 1, ? - start) WHERE start + length(data) > ?",
                (size, size),
            ),
        )
        self._end = min(self._end, size)

    def replace_mark(self, mark: bytes) -> None:
        """Put another mark in the place of the one that is there."""
        self._database.change((_MARK, (mark,)))

    def sessions(self) -> Collection[bytes]:
        """The sessions that have items or a key."""
        query = "SELECT DISTINCT session FROM items"
        stored = {row[0] for row in self._database.rows(query, cells=(bytes,))}
        with ledger_errors(self._keys):
            found = [path.name for path in self._keys.iterdir()]
        return stored | {session_named(name, str(self._keys)) for name in found}

    def items(self, session: bytes) -> Collection[str]:
        """The names of a session's items, the key's among them."""
        query = "SELECT name FROM items WHERE session = ?"
        rows = self._database.rows(query, session, cells=(str,))
        with ledger_errors(self._keys):
            return [row[0] for row in rows] + [KEY] * self._key(session).exists()

    def put(self, session: bytes, name: str, data: bytes | bytearray) -> None:
        """Store an item; a key in its file."""
        if name != KEY:
            self._database.change((_ITEM, (session, name, data)))
            return
        path = self._key(session)
        with ledger_errors(path):
            self._database.check_own()
            if path.exists():
                erase_file(path)
            write_file(path, data)
            flush_directory(self._keys)

    def get(self, session: bytes, name: str) -> bytes | None:
        """An item, or None."""
        if name == KEY:
            path = self._key(session)
            with ledger_errors(path), suppress(FileNotFoundError):
                return read_file(path)
            return None
        rows = self._database.rows(
            "SELECT data FROM items WHERE session = ? AND name = ?", session, name, cells=(bytes,)
        )
        return rows[0][0] if rows else None

    def erase(self, session: bytes, keep: Collection[str] = ()) -> None:
        """Remove a session's items: the key first, and overwritten."""
        path = self._key(session)
        with ledger_errors(path):
            self._database.check_own()
            if KEY not in keep and path.exists():
                erase_file(path)
        marks = ", ".join("?" * len(keep))
        self._database.change(
            (
                f"DELETE FROM items WHERE session = ? AND name NOT IN ({marks})",  # noqa: S608
                (session, *keep),
            )
        )

    def close(self) -> None:
        """Unlock."""
        self._database.close()

    def _key(self, session: bytes) -> Path:
        return self._keys / session.hex()

    def _pieces(self) -> list[bytes]:
        rows = self._database.rows("SELECT start, data FROM log ORDER BY start", cells=(int, bytes))
        end = 0
        for start, data in rows:
            if start != end:
                raise LedgerCorrupt(
                    f"expected the log to go on at byte {end}, got byte {start}", place=self.place
                )
            end += len(data)
        return [data for _, data in rows]

"""A server's records in an SQLite file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, overload

from secagg.errors import LedgerCorrupt
from secagg.ledger.database import Database
from secagg.protocol import Record

_TABLE: Final = (
    "CREATE TABLE records (session BLOB, number INTEGER, head BLOB NOT NULL, tail BLOB NOT NULL,"
    " final INTEGER NOT NULL, PRIMARY KEY (session, number)) STRICT"
)
_ADD: Final = (
    "INSERT INTO records SELECT ?1, ifnull(max(number) + 1, 0), ?2, ?3, ?4 FROM records"
    " WHERE session = ?1"
)


class SqliteRecords:
    """A `RecordStore` in an SQLite file, which one process at a time uses.

    SQLite holds at most 10**9 bytes in one value: a masked vector must be shorter.

    Args:
        path: of the file; made if it is missing, for its owner alone.

    Raises:
        LedgerBusy: another process uses it.
        LedgerUnavailable: it cannot be used, or others may read it.
        LedgerCorrupt: it is no database, or a damaged one.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path)
        if not path.exists():
            self._database.create([(_TABLE, ())])
        self._database.open()

    def load(self, session: bytes) -> Sequence[Record]:
        """As `RecordStore.load`; vectors are read one by one, when they are asked for."""
        query = "SELECT number FROM records WHERE session = ? ORDER BY number"
        rows = self._database.rows(query, session, cells=(int,))
        return _Rows(self._database, session, [row[0] for row in rows])

    def add(self, session: bytes, record: Record) -> None:
        """As `RecordStore.add`."""
        # An empty view may have no address, and would be stored as NULL.
        tail = record.tail if record.tail.nbytes else b""
        added = (_ADD, (session, record.head, tail, record.final))
        if record.final:
            self._database.change(("DELETE FROM records WHERE session = ?", (session,)), added)
        else:
            self._database.change(added)

    def erase(self, session: bytes) -> None:
        """As `RecordStore.erase`."""
        self._database.change(("DELETE FROM records WHERE session = ?", (session,)))

    def close(self) -> None:
        """Let another process use it. Twice is once."""
        self._database.close()


class _Rows(Sequence[Record]):
    """Records, each read when it is asked for."""

    def __init__(self, database: Database, session: bytes, numbers: Sequence[int]) -> None:
        self._database = database
        self._session = session
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> Record: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Record]: ...

    def __getitem__(self, index: int | slice) -> Record | Sequence[Record]:
        if isinstance(index, slice):
            return _Rows(self._database, self._session, self._numbers[index])
        number = self._numbers[index]
        rows = self._database.rows(
            "SELECT head, tail, final FROM records WHERE session = ? AND number = ?",
            self._session,
            number,
            cells=(bytes, bytes, int),
        )
        if len(rows) != 1 or rows[0][2] not in (0, 1):
            raise LedgerCorrupt(
                f"expected one record of number {number}, final or not, got {len(rows)}",
                place=self._database.place,
            )
        head, tail, final = rows[0]
        return Record(head, memoryview(tail), bool(final))

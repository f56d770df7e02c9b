"""A server's records in files, and SQLite files: damaged, or made by somebody else."""

from __future__ import annotations

import os
import sqlite3
import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from fuzz.documents import folder
from fuzz.storage import SESSION, used
from fuzz.target import Target

from secagg.endpoint import FileRecords, SqliteRecords
from secagg.endpoint.records import _check, _digest, _write
from secagg.errors import LedgerError
from secagg.ledger import SqliteStorage
from secagg.protocol import Record


def _server_records(data: bytes) -> bytes:
    """A file of a server's records. The digests are set right, which anybody can: no key is in."""
    root = folder() / "records"
    store = FileRecords(root)
    path = root / SESSION.hex()
    try:
        path.write_bytes(repaired(data))
        found = [(one.head, bytes(one.tail), one.final) for one in store.load(SESSION)]
        kept = path.read_bytes()
        path.unlink()
        for head, tail, final in found:
            _append(path, Record(head, memoryview(tail), final))
        again = path.read_bytes() if path.exists() else b""
        # A torn record at the end is cut off by loading.
        return data if again == kept else again
    finally:
        path.unlink(missing_ok=True)
        store.close()


def _append(path: Path, record: Record) -> None:
    _write(path, record, os.O_APPEND)


def repaired(data: bytes) -> bytes:
    """Records with the right check and digest, as far as their lengths allow it."""
    found, offset = bytearray(data), 0
    while offset + 65 <= len(found):
        lengths = bytes(found[offset : offset + 17])
        head, tail = struct.unpack(">QQ", lengths[:16])
        found[offset + 17 : offset + 33] = _check(offset, lengths)
        start = offset + 65
        end = start + head + tail
        if end > len(found):
            break
        body = memoryview(bytes(found[start:end]))
        found[offset + 33 : start] = _digest(body[:head], body[head:])
        offset = end
    return bytes(found)


def _record_files() -> Iterator[bytes]:
    root = folder() / "made"
    store = FileRecords(root)
    try:
        for record in (Record(b"a", memoryview(b"x" * 50)), Record(b"bb", memoryview(b""))):
            store.add(SESSION, record)
        yield (root / SESSION.hex()).read_bytes()
        store.add(SESSION, Record(b"c", memoryview(b"sum"), final=True))
        yield (root / SESSION.hex()).read_bytes()
    finally:
        store.close()


@cache
def databases() -> dict[str, bytes]:
    """A ledger and a server's records, as files of SQLite."""
    root = folder()
    ledger = SqliteStorage(root / "made-ledger")
    ledger.create(used().log, used().mark)
    ledger.load()
    for session, items in used().stored.items():
        for name, item in items.items():
            if name != "key":
                ledger.put(session, name, item)
    ledger.close()
    kept = SqliteRecords(root / "made-records")
    kept.add(SESSION, Record(b"head", memoryview(b"tail")))
    kept.close()
    return {name: (root / f"made-{name}").read_bytes() for name in ("ledger", "records")}


def patched(original: bytes, data: bytes) -> bytes:
    """Some bytes replaced: each by three of the data, a place and a value."""
    found = bytearray(original)
    for at in range(0, len(data) - 2, 3):
        place = int.from_bytes(data[at : at + 2], "big") % len(found)
        found[place] = data[at + 2]
    return bytes(found)


def _database(data: bytes) -> None:
    """A database damaged in places; the first byte says which of the two, or how its cells are."""
    kind = data[0] if data else 0
    path = folder() / "database"
    path.with_name("database.keys").mkdir(mode=0o700, exist_ok=True)
    name = "records" if kind % 2 else "ledger"
    path.write_bytes(databases()[name])
    path.chmod(0o600)
    try:
        if kind & 2:
            _retyped(path, data[1:])
        else:
            path.write_bytes(patched(databases()[name], data[1:]))
        (_read_records if kind % 2 else _read_ledger)(path)
    finally:
        for one in folder().glob("database*"):
            if one.is_file():
                one.unlink()


CELLS = (
    *(("log", "start"), ("log", "data"), ("mark", "data")),
    *(("items", "session"), ("items", "name"), ("items", "data")),
    *(("records", "session"), ("records", "head"), ("records", "tail"), ("records", "final")),
)


def _retyped(path: Path, data: bytes) -> None:
    """A column of tables that are not strict any more, with another value in every row."""
    table, column = CELLS[(data[0] if data else 0) % len(CELLS)]
    kind, rest = data[1] % 5 if len(data) > 1 else 0, data[2:]
    text = rest.decode("utf-8", "replace")
    value = (None, int.from_bytes(rest[:7], "big"), text, rest, len(rest) / 3)[kind]
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        loose = f"CREATE TABLE loose AS SELECT * FROM {table}"  # noqa: S608
        connection.execute(loose)
        connection.execute(f"DROP TABLE {table}")
        connection.execute(f"ALTER TABLE loose RENAME TO {table}")
        connection.execute(f"UPDATE {table} SET {column} = ?", (value,))  # noqa: S608
    except sqlite3.Error as error:
        raise LedgerError(str(error), place=str(path)) from None
    finally:
        connection.close()


def _read_ledger(path: Path) -> None:
    storage = SqliteStorage(path)
    try:
        log, mark = storage.load()
        assert isinstance(log, bytes)
        assert isinstance(mark, bytes)
        for session in storage.sessions():
            for name in storage.items(session):
                item = storage.get(session, name)
                assert item is None or isinstance(item, bytes)
    finally:
        storage.close()


def _read_records(path: Path) -> None:
    store = SqliteRecords(path)
    try:
        for record in store.load(SESSION):
            assert isinstance(record.head, bytes)
            assert isinstance(record.tail, memoryview)
    finally:
        store.close()


def _database_seeds() -> Iterator[bytes]:
    yield b"\0"
    yield b"\1"
    yield b"\1\0\x18\1"
    for cell, (table, _) in enumerate(CELLS):
        for kind in range(4):
            yield bytes((3 if table == "records" else 2, cell, kind)) + b"value"


TARGETS = (
    Target(
        "server-records",
        _server_records,
        ("secagg.endpoint.records:_places",),
        _record_files,
    ),
    Target(
        "databases",
        _database,
        (
            "secagg.ledger.sqlite:SqliteStorage.load",
            "secagg.ledger.sqlite:SqliteStorage.sessions",
            "secagg.endpoint.sqlite_records:_Rows.__getitem__",
        ),
        _database_seeds,
    ),
)

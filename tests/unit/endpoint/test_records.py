"""What a server's records must offer, whatever they are kept in."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from secagg.endpoint import FileRecords, MemoryRecords, RecordStore, SqliteRecords
from secagg.endpoint.records import _check
from secagg.errors import LedgerBusy, LedgerCorrupt, LedgerUnavailable
from secagg.protocol import Record

ONE, TWO = bytes(32), bytes((7,)) * 32


def record(head: bytes, tail: bytes = b"", *, final: bool = False) -> Record:
    return Record(head, memoryview(tail), final)


FIRST, SECOND, LAST = record(b"a", b"x" * 5000), record(b"bb"), record(b"c", b"sum", final=True)


def plain(records: RecordStore, session: bytes) -> list[tuple[bytes, bytes, bool]]:
    return [(one.head, bytes(one.tail), one.final) for one in records.load(session)]


def pairs(*records: Record) -> list[tuple[bytes, bytes, bool]]:
    return [(one.head, bytes(one.tail), one.final) for one in records]


@pytest.fixture(params=["memory", "files", "sqlite"])
def again(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], RecordStore]:
    memory = MemoryRecords()
    opened: list[FileRecords | SqliteRecords] = []

    def made() -> RecordStore:
        for each in opened:
            each.close()
            each.close()
        opened.clear()
        if request.param == "memory":
            return memory
        store = (FileRecords if request.param == "files" else SqliteRecords)(tmp_path / "records")
        opened.append(store)
        return store

    return made


def test_records_in_order_of_each_session(again: Callable[[], RecordStore]) -> None:
    store = again()
    assert not store.load(ONE)
    store.add(ONE, FIRST)
    store.add(TWO, SECOND)
    store.add(ONE, SECOND)
    store.add(ONE, FIRST)
    store = again()
    assert plain(store, ONE) == pairs(FIRST, SECOND, FIRST)
    assert plain(store, TWO) == pairs(SECOND)
    loaded = store.load(ONE)
    assert (len(loaded), loaded[-1].head, [one.head for one in loaded[1:]]) == (
        3,
        b"a",
        [b"bb", b"a"],
    )
    store.erase(TWO)
    store.erase(TWO)
    assert not again().load(TWO)
    assert plain(again(), ONE) == pairs(FIRST, SECOND, FIRST)


def test_the_final_record_takes_the_place_of_all(again: Callable[[], RecordStore]) -> None:
    store = again()
    for one in (FIRST, SECOND, LAST):
        store.add(ONE, one)
    assert plain(store, ONE) == pairs(LAST)
    assert plain(again(), ONE) == pairs(LAST)


def test_a_buffer_that_is_used_again(again: Callable[[], RecordStore]) -> None:
    store, buffer = again(), bytearray(b"first")
    store.add(ONE, Record(b"a", memoryview(buffer)))
    buffer[:] = b"other"
    assert plain(store, ONE) == [(b"a", b"first", False)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "records"
    store = FileRecords(path)
    store.add(ONE, SECOND)
    store.add(ONE, record(b"cc", b"tail"))
    store.close()
    return path


def test_a_record_that_is_cut_short_never_was(root: Path) -> None:
    path = root / ONE.hex()
    whole = path.read_bytes()
    first = FileRecords(root)
    end = first.load(ONE)._places[0].end  # type: ignore[attr-defined]
    first.close()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        store = FileRecords(root)
        expected = pairs(SECOND) if size >= end else []
        assert plain(store, ONE) == expected
        assert path.stat().st_size == (end if size >= end else 0)
        store.add(ONE, FIRST)
        assert plain(store, ONE) == [*expected, *pairs(FIRST)]
        store.close()


def test_a_record_that_was_changed(root: Path) -> None:
    path = root / ONE.hex()
    whole = path.read_bytes()
    store = FileRecords(root)
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1
        path.write_bytes(changed)
        with pytest.raises(LedgerCorrupt, match="changed"):
            store.load(ONE)


def test_a_record_that_is_final_by_another_byte(root: Path) -> None:
    """Without a key in it anybody can make the check of such lengths."""
    path = root / ONE.hex()
    whole = bytearray(path.read_bytes())
    whole[16] = 2
    whole[17:33] = _check(0, bytes(whole[:17]))
    path.write_bytes(whole)
    with pytest.raises(LedgerCorrupt, match="expected a final record or none"):
        FileRecords(root).load(ONE)


@pytest.mark.parametrize(
    ("column", "value"), [("head", "'text'"), ("tail", "NULL"), ("final", "'no'"), ("final", "7")]
)
def test_a_table_with_other_cells(tmp_path: Path, column: str, value: str) -> None:
    store = SqliteRecords(tmp_path / "records")
    store.add(ONE, FIRST)
    store.close()
    connection = sqlite3.connect(tmp_path / "records", isolation_level=None)
    connection.execute("CREATE TABLE loose AS SELECT * FROM records")
    connection.execute("DROP TABLE records")
    connection.execute("ALTER TABLE loose RENAME TO records")
    connection.execute(f"UPDATE records SET {column} = {value}")  # noqa: S608
    connection.close()
    loaded = SqliteRecords(tmp_path / "records").load(ONE)
    with pytest.raises(LedgerCorrupt, match="expected"):
        loaded[0]


def test_a_file_that_is_cut_after_it_was_loaded(root: Path) -> None:
    store = FileRecords(root)
    loaded = store.load(ONE)
    os.truncate(root / ONE.hex(), 10)
    with pytest.raises(LedgerUnavailable, match=f"{ONE.hex()}: OSError"):
        list(loaded)


def test_files_are_their_owners_alone(root: Path, tmp_path: Path) -> None:
    SqliteRecords(tmp_path / "records.db").close()
    for path in (root, *root.iterdir(), tmp_path / "records.db"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    for path in (root, tmp_path / "records.db"):
        path.chmod(0o750)
    with pytest.raises(LedgerUnavailable, match="its mode is 750"):
        FileRecords(root)
    with pytest.raises(LedgerUnavailable, match="its mode is 750"):
        SqliteRecords(tmp_path / "records.db")


SECOND_PROCESS = """
import sys
from pathlib import Path
from secagg.endpoint import FileRecords, SqliteRecords
from secagg.errors import LedgerBusy
for kind in (FileRecords, SqliteRecords):
    try:
        kind(Path(sys.argv[1]) / kind.__name__)
    except LedgerBusy:
        print("busy")
    else:
        print("open")
"""


def test_one_process_at_a_time(tmp_path: Path) -> None:
    def other() -> list[str]:
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-c", SECOND_PROCESS, str(tmp_path)],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout.split()

    stores = [kind(tmp_path / kind.__name__) for kind in (FileRecords, SqliteRecords)]
    with pytest.raises(LedgerBusy):
        FileRecords(tmp_path / "FileRecords")
    assert other() == ["busy", "busy"]
    for store in stores:
        store.close()
        with pytest.raises(LedgerUnavailable):
            store.add(ONE, FIRST)
        with pytest.raises(LedgerUnavailable):
            store.load(ONE)
        with pytest.raises(LedgerUnavailable):
            store.erase(ONE)
    assert other() == ["open", "open"]


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileRecords(tmp_path / "records")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(LedgerUnavailable, match="No space left on device"):
            store.add(ONE, FIRST)


def test_what_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    SqliteRecords(path).close()
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(LedgerCorrupt, match="file is not a database"):
        SqliteRecords(path)
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE another (thing)")
    connection.close()
    path.chmod(0o600)
    with pytest.raises(LedgerUnavailable, match="no such table: records"):
        SqliteRecords(path).load(ONE)
